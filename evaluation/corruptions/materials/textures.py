"""Textures that wrap around at the picture's borders, so that rolling them is moving them, and the blur of motion.

Lengths are pixels of a picture whose short side has `REFERENCE_SIZE`; `scaled` turns them into those of another.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy import fft, ndimage, signal

REFERENCE_SIZE = 224
"""Short side of the pictures that published lengths are given for."""

Layer = Float[np.ndarray, "height width"]
Frames = Float[np.ndarray, "segments 3 height width"]
Size = tuple[int, int]
"""Height and width in pixels."""


def scaled(length: int | float, size: Size) -> float:
    """A length in pixels of a picture of this size."""
    return length * min(size) / REFERENCE_SIZE


def smooth_noise(random: np.random.Generator, size: Size, *, roughness: int | float) -> Layer:
    """Clouds in [0, 1]: noise whose amplitude falls with the frequency to the power `roughness`; smaller is rougher."""
    vertical, horizontal = fft.fftfreq(size[0])[:, None], fft.rfftfreq(size[1])[None, :]
    frequency = np.hypot(vertical, horizontal)
    frequency[0, 0] = np.inf  # no mean
    spectrum = fft.rfft2(random.standard_normal(size)) / frequency**roughness
    return stretched(fft.irfft2(spectrum, s=size))


def blobs(random: np.random.Generator, size: Size, *, radius: int | float) -> Layer:
    """Noise without structures smaller than `radius` pixels of this picture, stretched to [0, 1]."""
    return stretched(ndimage.gaussian_filter(random.standard_normal(size), radius, mode="wrap"))


def stretched(layer: Layer) -> Layer:
    """The same with its smallest value at 0 and its largest at 1; all 0 where they are equal."""
    low, high = float(layer.min()), float(layer.max())
    return (layer - low) / (high - low) if high > low else np.zeros_like(layer)


def largest_share(layer: Layer, share: int | float) -> float:
    """The value that this share of a layer exceeds."""
    return float(np.quantile(layer, 1.0 - share))


def particles(
    random: np.random.Generator, size: Size, *, coverage: int | float, stamp: Float[np.ndarray, "rows columns"]
) -> Layer:
    """A stamp of brightness 0.5 to 1 at random places: enough of them to cover `coverage` of the picture, in [0, 1].

    With more coverage the same ones stay where they are and others come.
    """
    ranks, brightness = random.permutation(size[0] * size[1]), random.uniform(0.5, 1.0, size[0] * size[1])
    number = max(1, round(coverage * size[0] * size[1] / float(stamp.sum())))
    heads = np.where(ranks < number, brightness, 0.0).reshape(size)
    spread = fft.irfft2(fft.rfft2(heads) * fft.rfft2(_wrapped(stamp, size)), s=size)
    return np.asarray(spread.clip(0.0, 1.0))


def streak(length: int | float, *, width: int | float, angle: float) -> Float[np.ndarray, "rows columns"]:
    """The stamp of a soft line: `angle` in radians from upright, a Gaussian of standard deviation `width` across it."""
    reach = int(np.ceil(length / 2.0 + 3.0 * width))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along = rows * np.cos(angle) + columns * np.sin(angle)
    across = columns * np.cos(angle) - rows * np.sin(angle)
    beyond = (np.abs(along) - length / 2.0).clip(min=0.0)
    return np.asarray(np.exp(-(across**2 + beyond**2) / (2.0 * width**2)))


def moved(layer: Layer, *, down: int | float, right: int | float) -> Layer:
    """The layer moved by whole pixels; what leaves at one border comes in at the other."""
    return np.roll(layer, (round(down), round(right)), axis=(0, 1))


def motion_blur(frames: Frames, *, radius: int | float, sigmas: Float[np.ndarray, " segments"], angle: float) -> Frames:
    """Frames blurred along one line, each by its own standard deviation, cut off at `radius`; all in pixels.

    `angle` is in radians from level. Beyond its borders a picture is mirrored.
    """
    reach = max(1, int(np.ceil(radius)))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    line = np.exp(-2.0 * across**2) * (np.abs(along) <= max(radius, 1.0))
    kernels = line * np.exp(-(along**2) / (2.0 * sigmas[:, None, None] ** 2))
    kernels /= kernels.sum((1, 2), keepdims=True)
    padded = np.pad(frames, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="symmetric")
    return np.asarray(signal.fftconvolve(padded, kernels[:, None], mode="valid", axes=(2, 3)))


def blended(frames: Frames, colour: Float[np.ndarray, "3"], weight: Float[np.ndarray, "*shape"]) -> Frames:
    """Frames drawn towards a colour by a weight in [0, 1]: one number, one layer, or a layer for each frame."""
    weights = weight[:, None] if weight.ndim == 3 else weight
    return np.asarray(frames + weights * (colour[:, None, None] - frames))


def is_inside(size: Size, *, top: int, left: int, height: int, width: int) -> Bool[np.ndarray, "height width"]:
    """True in a box of the picture."""
    inside = np.zeros(size, dtype=bool)
    inside[top : top + height, left : left + width] = True
    return inside


def _wrapped(stamp: Float[np.ndarray, "rows columns"], size: Size) -> Layer:
    """The stamp around the origin of a picture whose borders meet."""
    canvas = np.zeros(size)
    rows = (np.arange(stamp.shape[0]) - stamp.shape[0] // 2) % size[0]
    columns = (np.arange(stamp.shape[1]) - stamp.shape[1] // 2) % size[1]
    np.add.at(canvas, np.ix_(rows, columns), stamp)
    return canvas
