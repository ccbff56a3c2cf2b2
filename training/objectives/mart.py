"""MART: adversarial training that looks harder at the clips it gets wrong."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import NonNegativeFloat
from torch import Tensor
from torch.nn import functional

from training.attacks.pgd import PGD
from training.batch import Batch
from training.objectives.base import (
    Forward,
    Logits,
    Loss,
    accuracy,
    logits_of_both,
)
from training.objectives.crafting_objective import IterativeObjective
from training.objectives.trades import divergences
from training.passes import Passes


class MART(IterativeObjective):
    """Misclassification-aware adversarial training: BCE(x', y) + lambda KL(p(x) || p(x')) (1 - p_y(x)).

    BCE(x', y) = -log p_y(x') - log(1 - max over k != y of p_k(x')): Wang et al. 2020, "Improving adversarial robustness
    requires revisiting misclassified examples", ICLR. The divergence counts most for clips that the model is not sure
    of when they are clean. With K = `attack.steps` it costs K + 2 forward and K + 2 backward passes
    per batch.

    What differs: the attack starts anywhere in the ball (theirs within 0.001 of the clip), and the second logarithm is
    the exact log-sum over the other classes (theirs adds 0.0001 inside). Robust accuracy under PGD alone flatters MART;
    measure it by several attacks. Labels cannot be smoothed: the second logarithm drives the best wrong class towards
    0, where a smoothed label would hold it up.
    """

    name: Literal["mart"] = "mart"
    divergence_weight: NonNegativeFloat = 5.0
    """lambda, what the weighted divergence counts."""
    attack: PGD = PGD(steps=5)
    """The inner maximisation, of the cross-entropy, in evaluation mode."""

    def loss(self, forward: Forward, *, clean: Batch, perturbed: Batch) -> Loss:
        """The boosted cross-entropy of the perturbed clips, and the weighted divergence."""
        of_clean, of_perturbed = logits_of_both(forward, clean, perturbed)
        boosted = boosted_cross_entropies(of_perturbed, clean.labels).mean()
        doubts = -torch.expm1(-functional.cross_entropy(of_clean, clean.labels, reduction="none"))
        divergence = (divergences(of_perturbed, of_clean) * doubts).mean()
        parts = {
            "boosted_cross_entropy": boosted.detach(),
            "weighted_divergence": divergence.detach(),
            "accuracy": accuracy(of_clean, clean.labels),
            "perturbed_accuracy": accuracy(of_perturbed, clean.labels),
        }
        return Loss(boosted + self.divergence_weight * divergence, parts)

    @property
    def loss_cost(self) -> Passes:
        """Clean and perturbed clips."""
        return Passes(2, 2)


def boosted_cross_entropies(logits: Logits, labels: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """-log p_y - log(1 - p_k) per clip, k the best wrong class."""
    is_label = functional.one_hot(labels, logits.shape[1]).bool()
    rival = logits.masked_fill(is_label, -torch.inf).argmax(1, keepdim=True)
    without_rival = logits.scatter(1, rival, -torch.inf).logsumexp(1)
    return functional.cross_entropy(logits, labels, reduction="none") + logits.logsumexp(1) - without_rival
