"""What MI-FGSM and its descendants share: an ascent along the accumulated gradient."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import nn

from training.attacks.ascent import NOT_SHARED, Ascent, MomentumNorm
from training.attacks.base import TargetableAttack
from training.attacks.gradients import GradientAt
from training.attacks.sharing import Sharing
from training.batch import Batch
from training.threat import ThreatModel


class MomentumAttack(TargetableAttack):
    """K steps along the accumulated gradient, from the clean clip; a member says what is accumulated, its g.

        m = mu m + g / ||g||_1,    x = P(x + epsilon / K sign m)

    The gradient is divided by its mean absolute value instead of its L1 norm: equal up to a constant per clip that the
    sign ignores. For l2 threats m / ||m||_2 takes the place of the sign.
    """

    begins_anywhere: ClassVar[bool] = True
    steps: PositiveInt = 10
    """K gradient steps of epsilon / K."""
    momentum: NonNegativeFloat = 1.0
    """Decay mu of the accumulated gradient; 0 = only the last gradient counts."""
    momentum_norm: MomentumNorm = "per_modality"
    """What the gradient is divided by: each modality's own mean size, each segment's, or the modalities' common one in
    units of epsilon."""
    sharing: Sharing = NOT_SHARED
    """Neighbouring segments that move together."""

    @property
    def ascent(self) -> Ascent:
        """How the steps are taken."""
        return Ascent(
            steps=self.steps,
            step_size=1.0 / self.steps,
            momentum=self.momentum,
            momentum_norm=self.momentum_norm,
            sharing=self.sharing,
        )

    @abstractmethod
    def gradient(self, clean: Batch, threat: ThreatModel, generator: torch.Generator) -> GradientAt:
        """What the steps follow, for one attack on these clips."""

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Take K steps along the accumulated gradient."""
        return self.ascent(model, batch, threat, generator, self.gradient(batch, threat, generator))
