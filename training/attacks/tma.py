"""TMA: TIA and MMA together."""

from __future__ import annotations

from typing import Literal

from training.attacks.feature_attack import FeatureAttack
from training.attacks.readings import AgreementReading, TemporalReading


class TMA(FeatureAttack, TemporalReading, AgreementReading):
    """Temporal and Modality-based Attack: J = CE - lambda_T L_T - lambda_M L_M (arXiv:2502.11858, Eq. 4).

    Readings, costs and what the paper leaves open are those of TIA and MMA. With one of the weights 0 it is the attack
    of the other term, bit for bit.
    """

    name: Literal["tma"] = "tma"
