"""TRADES: accuracy on clean clips, and predictions that do not change inside the ball."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from training.attacks.base import Attack
from training.attacks.engine.ascent import Ascent, default_step_size
from training.attacks.engine.gradients import Gradient, detached_inputs, vjp
from training.batch import Batch, Modality
from training.objectives.base import (
    Classifying,
    Forward,
    Logits,
    Loss,
    accuracy,
    logits_of_both,
)
from training.objectives.crafting_objective import IterativeObjective
from training.passes import Passes
from training.threat import ThreatModel


class DivergencePGD(Attack):
    """Projected ascent on KL(p(x) || p(x')), away from what the model says of the clean clip; p(x) is computed once."""

    name: Literal["divergence_pgd"] = "divergence_pgd"
    steps: PositiveInt = 5
    """Gradient steps; each costs one forward and one backward pass."""
    step_size: PositiveFloat | None = None
    """Step in units of epsilon; unset = as in PGD."""

    @property
    def cost(self) -> Passes:
        """One pass per step, and a look at the clean clip."""
        return Passes(self.steps + 1, self.steps)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Climb the divergence from a random point of the ball; at the clean clip it has no slope."""
        with torch.no_grad():
            clean_logits = model(batch.video, batch.audio).logits
        step_size = self.step_size or default_step_size(self.steps, random_start=True)
        ascent = Ascent(steps=self.steps, step_size=step_size, random_start=True)

        def gradient(model: nn.Module, clips: Batch, modalities: Sequence[Modality]) -> Gradient:
            clips, streams = detached_inputs(clips, modalities)
            logits = model(clips.video, clips.audio).logits
            slope, log_scale = divergence_slope(logits, clean_logits)
            return Gradient(dict(zip(modalities, vjp(logits, streams, slope), strict=True)), log_scale)

        return ascent(model, batch, threat, generator, gradient)


class TRADES(Classifying, IterativeObjective):
    """min over weights of CE(x, y) + beta max over the ball of KL(p(x) || p(x')) (Zhang et al. 2019, arXiv:1901.08573).

    Algorithm 1 there, with beta for their 1 / lambda. With K = `attack.steps` it costs K + 3 forward and K + 2 backward
    passes per batch: the clean probabilities that the attack departs from are computed once and not once a step.

    What differs: the attack starts anywhere in the ball (theirs within 0.001 of the clip, where the divergence hardly
    has a slope), and one forward pass sees clean and perturbed clips together, so that workers synchronise once.
    """

    name: Literal["trades"] = "trades"
    beta: NonNegativeFloat = 6.0
    """Weight of the divergence beside the cross-entropy."""
    attack: DivergencePGD = DivergencePGD()
    """The inner maximisation, in evaluation mode."""

    def loss(self, forward: Forward, *, clean: Batch, perturbed: Batch) -> Loss:
        """Cross-entropy of the clean clips, and how far the perturbed ones' predictions are from theirs."""
        of_clean, of_perturbed = logits_of_both(forward, clean, perturbed)
        cross_entropy = self.cross_entropies(of_clean, clean.labels).mean()
        divergence = divergences(of_perturbed, of_clean).mean()
        parts = {
            "cross_entropy": cross_entropy.detach(),
            "divergence": divergence.detach(),
            "accuracy": accuracy(of_clean, clean.labels),
            "perturbed_accuracy": accuracy(of_perturbed, clean.labels),
        }
        return Loss(cross_entropy + self.beta * divergence, parts)

    @property
    def loss_cost(self) -> Passes:
        """Clean and perturbed clips."""
        return Passes(2, 2)


def divergences(logits: Logits, clean_logits: Logits) -> Float[Tensor, " batch"]:
    """KL(p(x) || p(x')) per clip in nats, `logits` being those of x'; gradients flow to both."""
    shares, clean_shares = (each.log_softmax(1) for each in (logits, clean_logits))
    return (clean_shares.exp() * (clean_shares - shares)).sum(1)


def divergence_slope(logits: Logits, clean_logits: Logits) -> tuple[Logits, Float[Tensor, " batch"]]:
    """The gradient of KL(p || q) at the logits of q, as exp(second) x first, whose largest entry is 1 in size.

    It is q - p. Where a class holds nearly all of p and q, their difference there is lost to rounding, so that entry is
    what the others leave to a sum of 0. Equal p and q have no slope: zeros.
    """
    scores, clean_scores = (
        each.detach().float() if each.dtype.itemsize < 4 else each.detach() for each in (logits, clean_logits)
    )
    shares, clean_shares = scores.softmax(1), clean_scores.softmax(1)
    top = clean_shares.argmax(1, keepdim=True)
    others = (shares - clean_shares).scatter(1, top, 0.0)
    slope = others.scatter(1, top, -others.sum(1, keepdim=True))
    largest = slope.abs().amax(1, keepdim=True).clamp_min(torch.finfo(slope.dtype).tiny)
    return (slope / largest).to(logits.dtype), largest[:, 0].log()
