"""TIA: aim at what stays the same over time."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat

from training.attacks.feature_attack import FeatureAttack
from training.attacks.features import Weights


class TIA(FeatureAttack):
    """Temporal Invariance Attack: raise the loss while features of consecutive segments stay alike.

    J = CE - lambda_T L_T (arXiv:2502.11858, Eq. 2 and 4). A single segment has no L_T: then it is MI-FGSM bit for bit.
    """

    name: Literal["tia"] = "tia"
    temporal_weight: NonNegativeFloat = 0.1
    """lambda_T, the weight of the temporal term."""

    @property
    def weights(self) -> Weights:
        """The temporal term alone."""
        return Weights(temporal=self.temporal_weight, modality=0.0)
