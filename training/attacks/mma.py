"""MMA: break what sound and picture agree on."""

from __future__ import annotations

from typing import Literal

from training.attacks.feature_attack import FeatureAttack
from training.attacks.readings import AgreementReading


class MMA(FeatureAttack, AgreementReading):
    """Modality Misalignment Attack: raise the loss while what picture and sound say drifts apart.

    J = CE - lambda_M L_M (arXiv:2502.11858, Eq. 3 and 4).
    """

    name: Literal["mma"] = "mma"
