"""I-FGSM: FGSM in small steps."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import PositiveInt
from torch import nn

from training.attacks.ascent import Ascent
from training.attacks.base import Cost, TargetableAttack
from training.attacks.gradients import classification_gradient
from training.batch import Batch
from training.threat import ThreatModel


class IFGSM(TargetableAttack):
    """Iterative FGSM: steps of epsilon / K from the clean clip (Kurakin et al. 2017, Section 2.2, arXiv:1607.02533)."""

    name: Literal["ifgsm"] = "ifgsm"
    begins_anywhere: ClassVar[bool] = True
    steps: PositiveInt = 10
    """K gradient steps; each costs one forward and one backward pass."""

    @property
    def cost_untargeted(self) -> Cost:
        """One pass per step."""
        return Cost(self.steps, self.steps)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Take K steps of size epsilon / K."""
        ascent = Ascent(steps=self.steps, step_size=1.0 / self.steps)
        return ascent(model, batch, threat, generator, classification_gradient())
