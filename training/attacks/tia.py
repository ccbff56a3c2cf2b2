"""TIA: aim at what stays the same over time."""

from __future__ import annotations

from typing import Literal

from training.attacks.feature_attack import FeatureAttack
from training.attacks.readings import TemporalReading


class TIA(FeatureAttack, TemporalReading):
    """Temporal Invariance Attack: raise the loss while features stay alike over time, or over copies of the clip.

    J = CE - lambda_T L_T (arXiv:2502.11858, Eq. 2 and 4). A single segment has no L_T from segment to segment: then it
    is MI-FGSM bit for bit.
    """

    name: Literal["tia"] = "tia"
