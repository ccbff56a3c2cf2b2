"""Averages that an attack takes of a gradient before it follows it: over neighbours in space, over segments in time."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import AfterValidator, Field, PositiveInt, model_validator
from torch import Tensor

from preprocessing.settings import Settings
from training.attacks.engine.gradients import Streams


class TemporalGroups(Settings):
    """Groups of neighbouring segments that share their perturbation, or the gradient it follows.

        g_t <- (1 - s) g_t + s mean_tau g_tau,    tau over the group of t

    A perturbation that must serve several moments cannot lean on what only one of them shows: a hard form of TIA's
    wish. Wholly shared (s = 1) it also has fewer numbers to choose, so it fools its own model less often;
    `make bench-transfer` measures what other models make of it. (Not `crafting.sharing`, which attacks a sample of the
    segments to save time in training.)
    """

    segments: PositiveInt | Literal["all"] = 1
    """Segments per group, counted from the clip's start, the last group may be smaller; `all`: the clip is one group;
    1 = nothing is shared."""
    strength: Annotated[float, Field(ge=0, le=1)] = 1.0
    """s: how much of a segment's gradient is its group's mean, the rest is its own; 0 = nothing is shared."""
    of: Literal["gradient", "perturbation"] = "gradient"
    """`gradient`: every segment follows its group's mean gradient from where it is. `perturbation`: the group has one
    perturbation, cut off at each segment's own box; they differ at saturated values and after random starts."""

    @model_validator(mode="after")
    def _one_perturbation_is_whole(self) -> TemporalGroups:
        if self.of == "perturbation" and self.strength != 1:
            raise ValueError(
                f"strength={self.strength:g} with of=perturbation: a group has one perturbation or has not; "
                "set strength=1, or of=gradient"
            )
        return self

    @property
    def is_on(self) -> bool:
        """Whether anything is shared."""
        return self.segments != 1 and self.strength > 0

    def average(self, stream: Float[Tensor, "batch segments *shape"]) -> Float[Tensor, "batch segments *shape"]:
        """Each segment's value moved to its group's mean, by the strength."""
        if not self.is_on or stream.shape[1] == 1:
            return stream
        size = stream.shape[1] if self.segments == "all" else self.segments
        groups = torch.arange(stream.shape[1], device=stream.device) // size
        num_groups = int(groups[-1]) + 1
        sums = stream.new_zeros(len(stream), num_groups, *stream.shape[2:]).index_add_(1, groups, stream)
        sizes = groups.bincount().to(stream.dtype).reshape(1, -1, *([1] * (stream.dim() - 2)))
        means = (sums / sizes).index_select(1, groups)
        return means if self.strength == 1 else stream.lerp(means, self.strength)


def _odd(width: int) -> int:
    if width % 2 == 0:
        raise ValueError(f"a kernel has a middle: got {width}; allowed: 1 (no smoothing), 3, 5, ...")
    return width


Width = Annotated[PositiveInt, AfterValidator(_odd)]


class Smoothing(Settings):
    """A Gaussian kernel that the gradient is convolved with before it is followed.

        g <- W * g,    W = w x w,    w_i ~ exp(-i^2 / (2 sigma^2)),    sigma = width / 3

    TI-FGSM (Dong et al. 2019, arXiv:1904.02884, Eq. 7): close to the mean gradient over shifted copies of the input, at
    no pass more. Smoothed are rows and columns of a frame, and bands and time of a log-mel segment, each segment by
    itself; beyond the border the gradient counts as 0. A width of 1 leaves the gradient as it is.

    What differs: the paper's kernel has 15 values with sigma = 3 for pictures of 299 pixels; here the frames are
    smaller and the width is told per modality.
    """

    video: Width = 1
    """Pixels that the kernel is wide and high; odd."""
    audio: Width = 1
    """Bands that the kernel is high, and time frames that it is wide; odd. A waveform has no kernel and is left as it
    is."""

    def smoothed(self, streams: Streams) -> Streams:
        """The same gradients, smoothed."""
        return {
            name: _smoothed(stream, self.video if name == "video" else self.audio) for name, stream in streams.items()
        }


def _smoothed(stream: Float[Tensor, "batch segments *shape"], width: int) -> Float[Tensor, "batch segments *shape"]:
    """Each plane of the last two dimensions convolved; a waveform has none."""
    if width == 1 or stream.dim() < 4:
        return stream
    for dimension in (-2, -1):
        stream = _convolved(stream, weights(width), dimension)
    return stream


def weights(width: int) -> list[float]:
    """The kernel's values in one dimension, of sum 1."""
    sigma, middle = width / 3, width // 2
    values = [math.exp(-((i - middle) ** 2) / (2 * sigma**2)) for i in range(width)]
    return [value / math.fsum(values) for value in values]


def _convolved(stream: Tensor, kernel: list[float], dimension: int) -> Tensor:
    """Shifted copies in one sum, which, unlike a library's convolution, is the same for batches of any size."""
    middle, length = len(kernel) // 2, stream.shape[dimension]
    total = kernel[middle] * stream
    for offset in range(1, min(middle, length - 1) + 1):
        weight, count = kernel[middle + offset], length - offset
        first, last = stream.narrow(dimension, 0, count), stream.narrow(dimension, offset, count)
        total.narrow(dimension, 0, count).add_(last, alpha=weight)
        total.narrow(dimension, offset, count).add_(first, alpha=weight)
    return total
