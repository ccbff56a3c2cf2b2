"""MMA: break what sound and picture agree on."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat

from training.attacks.feature_attack import FeatureAttack
from training.attacks.features import Weights


class MMA(FeatureAttack):
    """Modality Misalignment Attack: raise the loss while the modalities' features drift apart.

    J = CE - lambda_M L_M (arXiv:2502.11858, Eq. 3 and 4).
    """

    name: Literal["mma"] = "mma"
    modality_weight: NonNegativeFloat = 0.3
    """lambda_M, the weight of the modality term."""

    @property
    def weights(self) -> Weights:
        """The modality term alone."""
        return Weights(temporal=0.0, modality=self.modality_weight)
