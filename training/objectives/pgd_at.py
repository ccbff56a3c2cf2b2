"""PGD-AT: cross-entropy on clips attacked by PGD."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import nn

from training.attacks.pgd import PGD
from training.batch import Batch
from training.crafting import WHOLE, Crafting, craft
from training.objectives.base import Classifying, LossOf, SingleUpdate, crafting_passes
from training.passes import Passes
from training.threat import ThreatModel


class PGDAT(Classifying, SingleUpdate):
    """Adversarial training: min over weights of E max over the ball of CE (Madry et al. 2018, arXiv:1706.06083).

    Equation 2.1 there. With K = `attack.steps` it costs K + 1 forward and K + 1 backward passes per batch. What
    differs: the attack runs in evaluation mode, so that batch normalisation does not mix the clips while they are
    crafted.
    """

    name: Literal["pgd_at"] = "pgd_at"
    attack: PGD = PGD(steps=5)
    """The inner maximisation."""
    threat: ThreatModel = ThreatModel()
    """The ball to defend."""
    crafting: Crafting = WHOLE
    """How the attack is applied."""

    def prepare(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> LossOf:
        """Cross-entropy on the attacked batch."""
        crafted = craft(model, batch, self.attack, self.threat, generator, crafting=self.crafting)
        return partial(self.classification, batch=crafted)

    def crafting_cost(self, *, progress: float, num_segments: int) -> Passes:
        """The attack's."""
        return crafting_passes(self.attack.cost, self.crafting, self.threat, num_segments)
