"""MI-FGSM: I-FGSM with momentum."""

from __future__ import annotations

from typing import Literal

import torch

from training.attacks.base import Cost
from training.attacks.gradients import GradientAt, classification_gradient
from training.attacks.losses import LossName
from training.attacks.momentum_attack import MomentumAttack
from training.batch import Batch
from training.threat import ThreatModel


class MIFGSM(MomentumAttack):
    """Momentum iterative FGSM: m = mu m + g / ||g||_1, x = P(x + alpha sign m) (Dong et al. 2018, arXiv:1710.06081).

    One pass per step. Without momentum it is I-FGSM.
    """

    name: Literal["mifgsm"] = "mifgsm"
    loss: LossName = "cross_entropy"
    """What grows."""

    @property
    def cost_untargeted(self) -> Cost:
        """One pass per step."""
        return Cost(1, 1) * self.steps

    def gradient(self, clean: Batch, threat: ThreatModel, generator: torch.Generator) -> GradientAt:
        """The gradient of the loss where the clips are."""
        return classification_gradient(self.loss)
