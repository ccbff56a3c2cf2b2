"""PGD: projected gradient ascent from a random point of the ball."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import nn

from training.attacks.ascent import Ascent, LossName, classification_gradient, default_step_size
from training.attacks.base import Attack
from training.batch import Batch
from training.threat import ThreatModel


class PGD(Attack):
    """Projected gradient ascent inside the ball (Madry et al. 2018, Section 2.1, arXiv:1706.06083)."""

    name: Literal["pgd"] = "pgd"
    steps: PositiveInt = 10
    """Gradient steps; each costs one forward and one backward pass."""
    step_size: PositiveFloat | None = None
    """Step in units of epsilon; unset = 2.5 / steps, at most 1.25, so that any point of the ball can be reached."""
    random_start: bool = True
    """Start at a random point of the ball instead of at the clean clip."""
    loss: LossName = "cross_entropy"
    """What grows: the cross-entropy, or the margin of the best wrong class."""

    @property
    def passes(self) -> int:
        """One pass per step."""
        return self.steps

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Climb the loss, projecting after every step."""
        ascent = Ascent(
            steps=self.steps,
            step_size=self.step_size or default_step_size(self.steps, random_start=True),
            random_start=self.random_start,
        )
        return ascent(model, batch, threat, generator, classification_gradient(self.loss))
