"""TIA, MMA and TMA, the temporal and modality-based attacks of Zhang et al., ICLR 2025 (arXiv:2502.11858).

    Eq. 1   max CE(f(v + delta_v, a + delta_a), y)   with ||delta_v||_p <= epsilon_v, ||delta_a||_p <= epsilon_a
    Eq. 2   L_T   how much the features of transformed copies, or of consecutive segments, vary       TIA lowers it
    Eq. 3   L_M = f_a f_v / ||f_a f_v||_2^2   how alike the features of audio and video are           MMA lowers it
    Eq. 4   max J = CE - lambda_T L_T - lambda_M L_M                                                  TMA

Left open by the paper, and our reading of it:

* The norm and both epsilons: a `ThreatModel`, as for every attack.
* L_T as a formula: the mean over modalities and t of ||z_m[t+1] - z_m[t]||^2 (`temporal="consecutive"`), or of the
  variance of z_m[t] over transformed copies (`copies`), z at length 1 (`features`).
* The transforms' parameters: `engine/transforms.py`. The layer: the encoders' outputs.
* Eq. 3: as printed it is 1 / (f_a f_v), and lowering that makes the modalities agree more, against the text. Here
  L_M = cos(mean_t z_v[t], mean_t z_a[t]) (`agreement="means"`), or one of three others; `literal` is the print.
* lambda_T and lambda_M: `temporal_weight` and `modality_weight`; a negative one turns its term round.
* The sum of Eq. 4: on confident clips CE has a vanishing gradient, so that the plain sum (`combination="weighted"`)
  follows L_T alone and loses most of its success (`make bench-transfer`). Here each term's gradient at the features is
  scaled to length 1 before they are added (`normalised`).
* The steps: those of MI-FGSM, and with every weight 0 they are MI-FGSM bit for bit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch

from training.attacks.base import LossMomentumAttack
from training.attacks.engine.ascent import Ascent, default_step_size
from training.attacks.engine.features import Combination, missing_outputs, tempered_gradient
from training.attacks.engine.gradients import GradientAt
from training.attacks.engine.terms import AgreementTerm, TemporalTerm
from training.batch import Batch
from training.models.classifier import Outputs
from training.passes import Passes
from training.threat import ThreatModel


class FeatureAttack(LossMomentumAttack):
    """Ascent on J of Eq. 4, with those of the two terms that a member has.

    With every weight 0 it is MI-FGSM bit for bit, and PGD with a random start and no momentum. A step costs one forward
    and one backward pass through the encoders, and one more of each for every transformed copy of L_T.
    """

    random_start: bool = False
    """Start at a random point of the ball instead of at the clean clip; an unset `step_size` is then PGD's."""
    combination: Combination = "normalised"
    """`normalised`: the terms are added as unit gradients at the features. `weighted`: as the plain sum of Eq. 4."""

    @property
    def default_step_size(self) -> float:
        """1 / K, or PGD's after a random start."""
        return default_step_size(self.steps, random_start=self.random_start)

    @property
    def ascent(self) -> Ascent:
        """MI-FGSM's, from a random start if it is wanted."""
        return replace(super().ascent, random_start=self.random_start)

    @property
    def cost_of_copy(self) -> Passes:
        """One pass per step for the clip itself, and one for each of the copies that L_T is read over."""
        copies = self.copies_per_step if isinstance(self, TemporalTerm) else 0
        return super().cost_of_copy * (1 + copies)

    def obstacle(self, outputs: Outputs) -> str:
        """The outputs that the terms need, if the model lacks them."""
        return super().obstacle(outputs) or missing_outputs(*self._terms, self.combination, outputs)

    @property
    def _terms(self) -> tuple[TemporalTerm | None, AgreementTerm | None]:
        """The two terms of Eq. 4, as far as this attack has them."""
        return (
            self if isinstance(self, TemporalTerm) else None,
            self if isinstance(self, AgreementTerm) else None,
        )

    def gradient(self, clean: Batch, threat: ThreatModel, generator: torch.Generator) -> GradientAt:
        """The gradient of J."""
        return tempered_gradient(*self._terms, combination=self.combination, loss=self.loss, generator=generator)


class TIA(FeatureAttack, TemporalTerm):
    """Temporal Invariance Attack: raise the loss while features stay alike over time, or over copies of the clip.

    J = CE - lambda_T L_T, L_T = mean over m, t < T of ||z_m[t+1] - z_m[t]||^2 or mean over m, t of Var_k z_m[t]^(k)
    (Eq. 2 and 4). A step costs one forward and one backward pass, and one more of each per copy. A single segment has
    no L_T from segment to segment: then it is MI-FGSM bit for bit.
    """

    name: Literal["tia"] = "tia"


class MMA(FeatureAttack, AgreementTerm):
    """Modality Misalignment Attack: raise the loss while the features of video and audio drift apart.

    J = CE - lambda_M L_M, L_M = cos(mean_t z_v[t], mean_t z_a[t]) or another agreement (Eq. 3, 4 and Fig. 3). A step
    costs one forward and one backward pass.
    """

    name: Literal["mma"] = "mma"


class TMA(FeatureAttack, TemporalTerm, AgreementTerm):
    """Temporal and Modality-based Attack: both terms, J = CE - lambda_T L_T - lambda_M L_M (Eq. 4).

    It costs what TIA costs. With one of the weights 0 it is the attack of the other term, bit for bit.
    """

    name: Literal["tma"] = "tma"
