"""TIA, MMA and TMA: ascent on the loss minus what stays the same over time and what both modalities agree on."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn

from training.attacks.base import TargetableAttack
from training.attacks.engine.ascent import NOT_SHARED, Ascent, MomentumNorm, default_step_size
from training.attacks.engine.features import Combination, tempered_gradient
from training.attacks.engine.losses import LossName
from training.attacks.engine.temporal_groups import TemporalGroups
from training.attacks.engine.terms import AgreementTerm, TemporalTerm
from training.batch import Batch
from training.passes import Passes
from training.threat import ThreatModel


class FeatureAttack(TargetableAttack):
    """Climbs J = loss - lambda_T L_T - lambda_M L_M (arXiv:2502.11858, Eq. 4), of the terms that a member has.

    The paper states neither the weights nor the layer nor the transforms; here both terms are taken at the encoders'
    outputs, and what else is open is a setting (`engine/terms.py`). With every weight 0 it is MI-FGSM bit for bit, and
    PGD with a random start and no momentum. A step costs one forward and one backward pass through the encoders, and
    one more of each for every transformed copy.
    """

    steps: PositiveInt = 10
    """Gradient steps; one forward and one backward pass each, times 1 + `num_copies` where L_T is read over copies."""
    step_size: PositiveFloat | None = None
    """Step in units of epsilon; unset = 1 / steps, or as in PGD with a random start."""
    momentum: NonNegativeFloat = 1.0
    """Decay of the accumulated gradient, as in MI-FGSM; 0 = none."""
    momentum_norm: MomentumNorm = "per_modality"
    """As in MI-FGSM."""
    loss: LossName = "cross_entropy"
    """The loss that the attack maximises beside the terms."""
    sharing: TemporalGroups = NOT_SHARED
    """Neighbouring segments that move together."""
    random_start: bool = False
    """Start at a random point of the ball instead of at the clean clip."""
    combination: Combination = "normalised"
    """How the terms are added: as unit gradients at the features, or as a plain weighted sum of losses."""

    @property
    def cost_untargeted(self) -> Passes:
        """One pass per step for the clip itself, and one for each of its copies."""
        copies = self.copies_per_step if isinstance(self, TemporalTerm) else 0
        return Passes(self.steps, self.steps) * (1 + copies)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Climb J."""
        ascent = Ascent(
            steps=self.steps,
            step_size=self.step_size or default_step_size(self.steps, random_start=self.random_start),
            momentum=self.momentum,
            random_start=self.random_start,
            momentum_norm=self.momentum_norm,
            sharing=self.sharing,
        )
        gradient = tempered_gradient(
            self if isinstance(self, TemporalTerm) else None,
            self if isinstance(self, AgreementTerm) else None,
            combination=self.combination,
            loss=self.loss,
            generator=generator,
        )
        return ascent(model, batch, threat, generator, gradient)


class TIA(FeatureAttack, TemporalTerm):
    """Temporal Invariance Attack: raise the loss while features stay alike over time, or over copies of the clip.

    J = CE - lambda_T L_T, L_T = mean over m, t < T of ||z_m[t+1] - z_m[t]||^2 or mean over m, t of Var_k z_m[t]^(k)
    (arXiv:2502.11858, Eq. 2 and 4). A step costs one forward and one backward pass, and one more of each per copy. A
    single segment has no L_T from segment to segment: then it is MI-FGSM bit for bit.

    The paper leaves lambda_T, the layer and the transforms open, and prints the plain sum. Here the term is taken at
    the encoders' outputs, and added as a unit gradient: on confident clips the plain sum (`weighted`) follows L_T alone
    and loses most of its success (`make bench-transfer`).
    """

    name: Literal["tia"] = "tia"


class MMA(FeatureAttack, AgreementTerm):
    """Modality Misalignment Attack: raise the loss while what picture and sound say drifts apart.

    J = CE - lambda_M L_M, L_M = cos(mean_t z_v[t], mean_t z_a[t]) or another agreement (arXiv:2502.11858, Eq. 3, 4 and
    Fig. 3). A step costs one forward and one backward pass.

    The printed Eq. 3 divides by the squared inner product, which rewards agreement, while the text wants it broken:
    `agreement="literal"` is the print, all others are the text. Lambda_M and the layer are left open there; as in TIA
    the term is taken at the encoders' outputs and added as a unit gradient.
    """

    name: Literal["mma"] = "mma"


class TMA(FeatureAttack, TemporalTerm, AgreementTerm):
    """Temporal and Modality-based Attack: J = CE - lambda_T L_T - lambda_M L_M (arXiv:2502.11858, Eq. 4).

    Readings, costs and what the paper leaves open are those of TIA and MMA. With one of the weights 0 it is the attack
    of the other term, bit for bit.
    """

    name: Literal["tma"] = "tma"
