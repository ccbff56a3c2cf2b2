"""TT: temporal translation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import NonNegativeInt
from torch import nn

from training.attacks.base import MomentumAttack
from training.attacks.engine.gradients import Gradient, GradientAt, Streams, classification_gradient
from training.attacks.engine.losses import LossName
from training.batch import MODALITIES, Batch, Modality
from training.passes import Passes
from training.threat import ThreatModel

ShiftWeights = Literal["gaussian", "linear", "uniform"]


class TT(MomentumAttack):
    """Temporal translation: the gradient is averaged over copies of the clip that begin earlier and later.

        g = sum_{d=-R..R} W_d shift_{-d}(grad J(shift_d(x))),    then MI-FGSM

    Wei et al., AAAI 2022, "Boosting the Transferability of Video Adversarial Examples via Temporal Translation",
    arXiv:2110.09075. `shift_d` moves every segment d places on, around the clip's end, and the gradients move back to
    the segments they belong to. W_d is exp(-d^2 / (2 sigma^2)) with sigma = R / 3, or 1 - |d| / (R + 1), or 1.
    2 R + 1 passes per step; with R = 0 it is MI-FGSM.

    What differs:

    * Frames and audio are shifted together, also where one of them is attacked alone, so that they stay in step.
    * W_0 is 1 instead of sum_d W_d: a step does not depend on the sum.
    * R = 2 of 10 segments, the share of the paper's 7 of 32 frames.
    * The paper divides each frame's gradient by its own L1 norm: that is `momentum_norm=per_segment`; here the default
      is as in all other attacks.

    A model that does not look at the order of the segments gives MI-FGSM's perturbation at 2 R + 1 times its cost.
    """

    name: Literal["tt"] = "tt"
    max_shift: NonNegativeInt = 2
    """R: segments by which the clip is shifted at most, forwards and backwards."""
    weights: ShiftWeights = "gaussian"
    """The weights W_d of the shifted copies' gradients."""
    loss: LossName = "cross_entropy"
    """The loss that the attack maximises."""

    @property
    def cost_of_copy(self) -> Passes:
        """2 R + 1 passes per step."""
        return Passes(1, 1) * self.steps * (2 * self.max_shift + 1)

    def weight(self, shift: int) -> float:
        """W_d, relative to the unshifted clip's."""
        if shift == 0:
            return 1.0
        match self.weights:
            case "gaussian":
                return math.exp(-0.5 * (3.0 * shift / self.max_shift) ** 2)
            case "linear":
                return 1.0 - abs(shift) / (self.max_shift + 1)
            case "uniform":
                return 1.0

    def gradient(self, clean: Batch, threat: ThreatModel, generator: torch.Generator) -> GradientAt:
        """The weighted sum of the shifted clips' gradients, each moved back."""
        plain = classification_gradient(self.loss)

        def gradient(model: nn.Module, batch: Batch, modalities: Sequence[Modality]) -> Gradient:
            total = plain(model, batch, modalities)
            for distance in range(1, self.max_shift + 1):
                for shift in (-distance, distance):
                    total = total.plus(
                        _moved_back(plain(model, _shifted(batch, shift), modalities), shift), weight=self.weight(shift)
                    )
            return total

        return gradient


def _shifted(batch: Batch, shift: int) -> Batch:
    """Segment t of both modalities at place t + shift, around the clip's end."""
    streams: Streams = {name: batch.stream(name).roll(shift, 1) for name in MODALITIES}
    return batch.with_streams(**streams)


def _moved_back(found: Gradient, shift: int) -> Gradient:
    """The gradient at the segments before they were shifted."""
    return Gradient({name: stream.roll(-shift, 1) for name, stream in found.streams.items()}, found.log_scale)
