"""TMA: TIA and MMA together."""

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


class TMA(Attack):
    """Temporal and Modality-based Attack: J = CE - lambda_T L_T - lambda_M L_M (arXiv:2502.11858, Eq. 4).

    The union of TIA and MMA. With both weights 0 it is MI-FGSM bit for bit.
    """

    name: Literal["tma"] = "tma"
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
    modality_weight: NonNegativeFloat = 0.3
    """lambda_M, the weight of the modality term."""
    combination: Combination = "normalised"
    """How the terms are added: as unit gradients at the features, or as a plain weighted sum of losses."""

    @property
    def passes(self) -> int:
        """One pass per step."""
        return self.steps

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Climb loss - lambda_T L_T - lambda_M L_M."""
        ascent = Ascent(
            steps=self.steps,
            step_size=self.step_size or default_step_size(self.steps, random_start=self.random_start),
            momentum=self.momentum,
            random_start=self.random_start,
        )
        gradient = tempered_gradient(
            temporal_weight=self.temporal_weight,
            modality_weight=self.modality_weight,
            combination=self.combination,
        )
        return ascent(model, batch, threat, generator, gradient)
