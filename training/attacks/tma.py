"""TMA: TIA and MMA together."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat

from training.attacks.feature_attack import FeatureAttack
from training.attacks.features import Weights


class TMA(FeatureAttack):
    """Temporal and Modality-based Attack: J = CE - lambda_T L_T - lambda_M L_M (arXiv:2502.11858, Eq. 4)."""

    name: Literal["tma"] = "tma"
    temporal_weight: NonNegativeFloat = 0.1
    """lambda_T, the weight of the temporal term."""
    modality_weight: NonNegativeFloat = 0.3
    """lambda_M, the weight of the modality term."""

    @property
    def weights(self) -> Weights:
        """Both terms."""
        return Weights(temporal=self.temporal_weight, modality=self.modality_weight)
