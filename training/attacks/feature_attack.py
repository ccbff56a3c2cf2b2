"""What TIA, MMA and TMA share: an ascent whose objective has terms at the features."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn

from training.attacks.ascent import NOT_SHARED, Ascent, MomentumNorm, default_step_size
from training.attacks.base import Cost, TargetableAttack
from training.attacks.features import Combination, tempered_gradient
from training.attacks.losses import LossName
from training.attacks.readings import AgreementReading, TemporalReading
from training.attacks.sharing import Sharing
from training.batch import Batch
from training.threat import ThreatModel


class FeatureAttack(TargetableAttack):
    """Climbs J = loss - lambda_T L_T - lambda_M L_M (arXiv:2502.11858, Eq. 4), of the terms that a member has.

    The paper states neither the weights nor the layer nor the transforms; here both terms are taken at the encoders'
    outputs, and what else is open is a setting (`readings.py`). With every weight 0 it is MI-FGSM bit for bit, and PGD
    with a random start and no momentum. A step costs one forward and one backward pass through the encoders, and one
    more of each for every transformed copy.
    """

    begins_anywhere: ClassVar[bool] = True
    steps: PositiveInt = 10
    """Gradient steps; one forward and one backward pass each, times 1 + `num_copies` where L_T is read over copies."""
    step_size: PositiveFloat | None = None
    """Step in units of epsilon; unset = 1 / steps, or as in PGD with a random start."""
    momentum: NonNegativeFloat = 1.0
    """Decay of the accumulated gradient, as in MI-FGSM; 0 = none."""
    momentum_norm: MomentumNorm = "per_modality"
    """As in MI-FGSM."""
    loss: LossName = "cross_entropy"
    """What grows beside the terms."""
    sharing: Sharing = NOT_SHARED
    """Neighbouring segments that move together."""
    random_start: bool = False
    """Start at a random point of the ball instead of at the clean clip."""
    combination: Combination = "normalised"
    """How the terms are added: as unit gradients at the features, or as a plain weighted sum of losses."""

    @property
    def cost_untargeted(self) -> Cost:
        """One pass per step for the clip itself, and one for each of its copies."""
        copies = self.copies_per_step if isinstance(self, TemporalReading) else 0
        return Cost(self.steps, self.steps) * (1 + copies)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Climb J."""
        ascent = Ascent(
            steps=self.steps,
            step_size=self.step_size or default_step_size(self.steps, random_start=self.random_start),
            momentum=self.momentum,
            random_start=self.random_start,
            momentum_norm=self.momentum_norm,
            sharing=self.sharing,
        )
        gradient = tempered_gradient(
            self if isinstance(self, TemporalReading) else None,
            self if isinstance(self, AgreementReading) else None,
            combination=self.combination,
            loss=self.loss,
            generator=generator,
        )
        return ascent(model, batch, threat, generator, gradient)
