"""Smoothing of the gradient over its neighbours in a frame or a spectrogram, as translation-invariant attacks do it."""

from __future__ import annotations

import math
from typing import Annotated

from jaxtyping import Float
from pydantic import AfterValidator, PositiveInt
from torch import Tensor

from preprocessing.settings import Settings
from training.attacks.engine.gradients import Streams


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
