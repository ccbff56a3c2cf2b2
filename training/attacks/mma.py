"""MMA: break what sound and picture agree on."""

from __future__ import annotations

from typing import Literal

from training.attacks.feature_attack import FeatureAttack
from training.attacks.readings import AgreementReading


class MMA(FeatureAttack, AgreementReading):
    """Modality Misalignment Attack: raise the loss while what picture and sound say drifts apart.

    J = CE - lambda_M L_M, L_M = cos(mean_t z_v[t], mean_t z_a[t]) or another agreement (arXiv:2502.11858, Eq. 3, 4 and
    Fig. 3). A step costs one forward and one backward pass.

    The printed Eq. 3 divides by the squared inner product, which rewards agreement, while the text wants it broken:
    `agreement="literal"` is the print, all others are the text. Lambda_M and the layer are left open there; as in TIA
    the term is taken at the encoders' outputs and added as a unit gradient.
    """

    name: Literal["mma"] = "mma"
