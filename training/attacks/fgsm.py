"""FGSM: one full step along the sign of the gradient."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import nn

from training.attacks.ascent import Ascent
from training.attacks.base import Cost, TargetableAttack
from training.attacks.gradients import classification_gradient
from training.batch import Batch
from training.threat import ThreatModel


class FGSM(TargetableAttack):
    """Fast gradient sign method: x' = P(x + epsilon sign g(x)) (Goodfellow et al. 2015, Section 4, arXiv:1412.6572)."""

    name: Literal["fgsm"] = "fgsm"
    begins_anywhere: ClassVar[bool] = True

    @property
    def cost_untargeted(self) -> Cost:
        """One forward and backward pass."""
        return Cost(1, 1)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Take one step of size epsilon."""
        return Ascent(steps=1, step_size=1.0)(model, batch, threat, generator, classification_gradient())
