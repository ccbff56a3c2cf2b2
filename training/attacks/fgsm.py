"""FGSM and I-FGSM: one full step along the sign of the gradient, and the same way in small steps."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveInt
from torch import nn

from training.attacks.base import TargetableAttack
from training.attacks.engine.ascent import Ascent
from training.attacks.engine.gradients import classification_gradient
from training.batch import Batch
from training.passes import Passes
from training.threat import ThreatModel


class FGSM(TargetableAttack):
    """Fast gradient sign method: x' = P(x + epsilon sign g(x)) (Goodfellow et al. 2015, Section 4, arXiv:1412.6572)."""

    name: Literal["fgsm"] = "fgsm"

    @property
    def cost_untargeted(self) -> Passes:
        """One forward and backward pass."""
        return Passes(1, 1)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Take one step of size epsilon."""
        return Ascent(steps=1, step_size=1.0)(model, batch, threat, generator, classification_gradient())


class IFGSM(TargetableAttack):
    """Iterative FGSM: steps of epsilon / K from the clean clip (Kurakin et al. 2017, Section 2.2, arXiv:1607.02533)."""

    name: Literal["ifgsm"] = "ifgsm"
    steps: PositiveInt = 10
    """K gradient steps; each costs one forward and one backward pass."""

    @property
    def cost_untargeted(self) -> Passes:
        """One pass per step."""
        return Passes(self.steps, self.steps)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Take K steps of size epsilon / K."""
        ascent = Ascent(steps=self.steps, step_size=1.0 / self.steps)
        return ascent(model, batch, threat, generator, classification_gradient())
