"""TIA: aim at what stays the same over time."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn

from training.attacks.ascent import Ascent, default_step_size
from training.attacks.base import Attack
from training.attacks.features import Combination, tempered_gradient
from training.batch import Batch
from training.threat import ThreatModel


class TIA(Attack):
    """Temporal Invariance Attack: raise the loss while features of consecutive segments stay alike.

    J = CE - lambda_T L_T (arXiv:2502.11858, Eq. 2 and 4). The paper states neither lambda_T nor the feature layer; here
    L_T is taken at the encoders' outputs. With `temporal_weight` 0 or a single segment it is MI-FGSM bit for bit.
    """

    name: Literal["tia"] = "tia"
    steps: PositiveInt = 10
    """Gradient steps; each costs one forward and one backward pass through the encoders."""
    step_size: PositiveFloat | None = None
    """Step in units of epsilon; unset = 1 / steps, or as in PGD with a random start."""
    momentum: NonNegativeFloat = 1.0
    """Decay of the accumulated gradient, as in MI-FGSM; 0 = none."""
    random_start: bool = False
    """Start at a random point of the ball instead of at the clean clip."""
    temporal_weight: NonNegativeFloat = 0.1
    """lambda_T, the weight of the temporal term."""
    combination: Combination = "normalised"
    """How the terms are added: as unit gradients at the features, or as a plain weighted sum of losses."""

    @property
    def passes(self) -> int:
        """One pass per step."""
        return self.steps

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Climb loss - lambda_T L_T."""
        ascent = Ascent(
            steps=self.steps,
            step_size=self.step_size or default_step_size(self.steps, random_start=self.random_start),
            momentum=self.momentum,
            random_start=self.random_start,
        )
        gradient = tempered_gradient(
            temporal_weight=self.temporal_weight,
            modality_weight=0.0,
            combination=self.combination,
        )
        return ascent(model, batch, threat, generator, gradient)
