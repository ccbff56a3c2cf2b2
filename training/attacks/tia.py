"""TIA: aim at what stays the same over time."""

from __future__ import annotations

from typing import Literal

from training.attacks.feature_attack import FeatureAttack
from training.attacks.readings import TemporalReading


class TIA(FeatureAttack, TemporalReading):
    """Temporal Invariance Attack: raise the loss while features stay alike over time, or over copies of the clip.

    J = CE - lambda_T L_T, L_T = mean over m, t < T of ||z_m[t+1] - z_m[t]||^2 or mean over m, t of Var_k z_m[t]^(k)
    (arXiv:2502.11858, Eq. 2 and 4). A step costs one forward and one backward pass, and one more of each per copy. A
    single segment has no L_T from segment to segment: then it is MI-FGSM bit for bit.

    The paper leaves lambda_T, the layer and the transforms open, and prints the plain sum. Here the term is taken at
    the encoders' outputs, and added as a unit gradient: on confident clips the plain sum (`weighted`) follows L_T alone
    and loses most of its success (`make bench-transfer`).
    """

    name: Literal["tia"] = "tia"
