"""MI-FGSM: I-FGSM with momentum."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import nn

from training.attacks.ascent import NOT_SHARED, Ascent, MomentumNorm
from training.attacks.base import Cost, TargetableAttack
from training.attacks.gradients import classification_gradient
from training.attacks.losses import LossName
from training.attacks.sharing import Sharing
from training.batch import Batch
from training.threat import ThreatModel


class MIFGSM(TargetableAttack):
    """Momentum iterative FGSM: m = mu m + g / ||g||_1, x = P(x + alpha sign m) (Dong et al. 2018, arXiv:1710.06081).

    The gradient is divided by its mean absolute value per clip and modality, which equals the paper's L1 norm up to a
    constant that the sign ignores.
    """

    name: Literal["mifgsm"] = "mifgsm"
    steps: PositiveInt = 10
    """Gradient steps of epsilon / steps; each costs one forward and one backward pass."""
    momentum: NonNegativeFloat = 1.0
    """Decay mu of the accumulated gradient; 0 is I-FGSM."""
    momentum_norm: MomentumNorm = "per_modality"
    """What the gradient is divided by: each modality's own mean size, or the common one in units of epsilon."""
    loss: LossName = "cross_entropy"
    """What grows."""
    sharing: Sharing = NOT_SHARED
    """Neighbouring segments that move together."""

    @property
    def cost_untargeted(self) -> Cost:
        """One pass per step."""
        return Cost(self.steps, self.steps)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Take K steps along the accumulated gradient."""
        ascent = Ascent(
            steps=self.steps,
            step_size=1.0 / self.steps,
            momentum=self.momentum,
            momentum_norm=self.momentum_norm,
            sharing=self.sharing,
        )
        return ascent(model, batch, threat, generator, classification_gradient(self.loss))
