"""MI-FGSM, NI-FGSM and TSI: steps along the accumulated gradient; with Nesterov's look ahead; and for transfer."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn

from training.attacks.base import TargetableAttack
from training.attacks.engine.ascent import NOT_SHARED, NOT_SMOOTHED, Ascent, default_step_size
from training.attacks.engine.averaging import Smoothing, TemporalGroups
from training.attacks.engine.gradients import GradientAt, classification_gradient
from training.attacks.engine.input_transforms import InputTransform, num_copies
from training.attacks.engine.losses import LossName
from training.attacks.engine.momentum import MomentumNorm
from training.batch import Batch
from training.passes import Passes
from training.threat import ThreatModel


class MomentumAttack(TargetableAttack):
    """K steps along the accumulated gradient, from the clean clip; a member says what is accumulated, its g.

        m = mu m + g / ||g||_1,    x = P(x + alpha sign m),    alpha = epsilon / K

    The gradient is divided by its mean absolute value instead of its L1 norm: equal up to a constant per clip that the
    sign ignores. For l2 threats m / ||m||_2 takes the place of the sign.
    """

    steps: PositiveInt = 10
    """K gradient steps."""
    step_size: PositiveFloat | None = None
    """alpha, in units of epsilon; unset = 1 / K, as published; twice that fooled a few clips more."""
    momentum: NonNegativeFloat = 1.0
    """Decay mu of the accumulated gradient; 0 = only the last gradient counts."""
    momentum_norm: MomentumNorm = "per_modality"
    """The mean size that a gradient is divided by: its modality's, each segment's, or both modalities' common one in
    units of epsilon."""
    smoothing: Smoothing = NOT_SMOOTHED
    """The kernel that the gradient is smoothed with, as in TI-FGSM."""
    sharing: TemporalGroups = NOT_SHARED
    """Neighbouring segments that move together."""
    input_transforms: tuple[InputTransform, ...] = ()
    """Transformations, one after the other, of the clip that each gradient is taken at: `di`, `si`, `admix`. The passes
    multiply by the copies that they make."""

    @property
    def default_step_size(self) -> float:
        """alpha where it is unset."""
        return default_step_size(self.steps, random_start=False)

    @property
    def ascent(self) -> Ascent:
        """The loop that takes the steps."""
        return Ascent(
            steps=self.steps,
            step_size=self.step_size or self.default_step_size,
            momentum=self.momentum,
            momentum_norm=self.momentum_norm,
            smoothing=self.smoothing,
            sharing=self.sharing,
            input_transforms=self.input_transforms,
        )

    @property
    def cost_untargeted(self) -> Passes:
        """Passes of all copies that the input transformations make."""
        return self.cost_of_copy * num_copies(self.input_transforms)

    @property
    @abstractmethod
    def cost_of_copy(self) -> Passes:
        """Passes of one call per clip where no input transformation makes copies."""

    @abstractmethod
    def gradient(self, clean: Batch, threat: ThreatModel, generator: torch.Generator) -> GradientAt:
        """The gradient that the steps follow, for one attack on these clips."""

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Take K steps along the accumulated gradient."""
        return self.ascent(model, batch, threat, generator, self.gradient(batch, threat, generator))


class LossMomentumAttack(MomentumAttack):
    """A momentum attack whose g is the gradient of the loss, one pass per step."""

    loss: LossName = "cross_entropy"
    """The loss that the attack maximises."""

    @property
    def cost_of_copy(self) -> Passes:
        """One pass per step."""
        return Passes(1, 1) * self.steps

    def gradient(self, clean: Batch, threat: ThreatModel, generator: torch.Generator) -> GradientAt:
        """The gradient of the loss."""
        return classification_gradient(self.loss)


class MIFGSM(LossMomentumAttack):
    """Momentum iterative FGSM: m = mu m + g / ||g||_1, x = P(x + alpha sign m) (Dong et al. 2018, arXiv:1710.06081).

    One pass per step. Without momentum it is I-FGSM.
    """

    name: Literal["mifgsm"] = "mifgsm"


class NIFGSM(LossMomentumAttack):
    """Nesterov iterative FGSM: the gradient is taken at x + alpha mu m instead of at x.

        m = mu m + g(x + alpha mu m) / ||g(x + alpha mu m)||_1,    x = P(x + alpha sign m)

    Lin et al. 2020, arXiv:1908.06281, Section 3.2, Eq. 6 to 8. One pass per step; without momentum it is I-FGSM.

    What differs: m has mean size 1 per step taken instead of L1 norm 1, else the look-ahead would be smaller by the
    number of values of a clip and nothing would be looked at. For l2 threats it is divided by the root of that number,
    so that it is as long as a step (the paper is about linf). As in the paper, the point looked at is not projected: it
    may lie outside ball and box.
    """

    name: Literal["nifgsm"] = "nifgsm"

    @property
    def ascent(self) -> Ascent:
        """MI-FGSM's, with the look-ahead."""
        return replace(super().ascent, look_ahead=True)


class TSI(LossMomentumAttack):
    """Temporally shared, translation-invariant FGSM: MI-FGSM for transfer, with a gradient that serves all moments.

        g_t <- W * g_t                               smoothed over its neighbours in a frame or spectrogram
        g_t <- (1 - s) g_t + s mean_tau g_tau        half of it shared by all segments of the clip
        m = mu m + g / ||g||_1,    x = P(x + alpha sign m),    alpha = 2 epsilon / K

    The first is TI-FGSM (Dong et al. 2019, arXiv:1904.02884), the last MI-FGSM (Dong et al. 2018, arXiv:1710.06081).
    Each of the three is a setting of every momentum attack; with `step_size` 1 / K, no smoothing and no sharing this is
    MI-FGSM bit for bit. One pass per step. It is for models that see differently from the attacked one; on that model
    itself, and between models with the same encoders, MI-FGSM fools more clips (`docs/findings/transfer.md`).
    """

    name: Literal["tsi"] = "tsi"
    step_size: PositiveFloat | None = None
    """alpha, in units of epsilon; unset = 2 / K: the border is reached half way, and signs can still change."""
    smoothing: Smoothing = Smoothing(video=3, audio=3)
    """The kernel that the gradient is smoothed with."""
    sharing: TemporalGroups = TemporalGroups(segments="all", strength=0.5)
    """Segments that move together, and how much."""

    @property
    def default_step_size(self) -> float:
        """2 / K."""
        return 2 * default_step_size(self.steps, random_start=False)
