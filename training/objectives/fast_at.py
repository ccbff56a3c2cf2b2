"""Fast-AT: adversarial training by one step from a random start."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import nn

from training.attacks.pgd import PGD
from training.batch import Batch
from training.crafting import WHOLE, Crafting, craft
from training.objectives.base import Classifying, LossOf, SingleUpdate, crafting_passes
from training.passes import Passes
from training.threat import ThreatModel


class FastAT(Classifying, SingleUpdate):
    """Training on FGSM-RS: u ~ U(-epsilon, epsilon), x' = P(x + u + alpha sign g(x + u)) (Wong et al. 2020).

    Algorithm 3 of arXiv:2001.03994, which is PGD of one step. Costs 2 forward and 2 backward passes per batch. What
    differs: the step is taken in evaluation mode, from a start that is inside the box. Their cyclic learning rate and
    early stopping belong to the training, not to the objective.

    Single-step training can overfit catastrophically: its own attack is resisted while PGD succeeds on every clip.
    Validation by PGD, which chooses the best epoch, sees it.
    """

    name: Literal["fast_at"] = "fast_at"
    step_size: PositiveFloat = 1.25
    """alpha, the step in units of epsilon."""
    threat: ThreatModel = ThreatModel()
    """The ball to defend."""
    crafting: Crafting = WHOLE
    """How the attack is applied."""

    @property
    def attack(self) -> PGD:
        """FGSM from a random start."""
        return PGD(steps=1, step_size=self.step_size)

    def prepare(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> LossOf:
        """Cross-entropy on the clips after one step."""
        crafted = craft(model, batch, self.attack, self.threat, generator, crafting=self.crafting)
        return partial(self.classification, batch=crafted)

    def crafting_cost(self, *, progress: float, num_segments: int) -> Passes:
        """One step's."""
        return crafting_passes(self.attack.cost, self.crafting, self.threat, num_segments)
