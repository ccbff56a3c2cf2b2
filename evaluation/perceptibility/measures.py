"""Measures of what a change of frames and sound is to an eye and an ear, beside its plain size."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from preprocessing.schema import LOGMEL_MAX_DB, LOGMEL_MIN_DB

WINDOW_PIXELS = 11
WINDOW_DEVIATION = 1.5
K1, K2 = 0.01, 0.03
"""Of the constants (K L)^2 that keep the ratios stable; L, the range of values, is 1 here."""


def structural_similarity(
    perturbed: Float[Tensor, "batch segments 3 height width"], clean: Float[Tensor, "batch segments 3 height width"]
) -> list[float]:
    """SSIM of each clip's frames, values in [0, 1]: 1 if they are the same (Wang et al. 2004, Equation 13).

    "Image quality assessment: from error visibility to structural similarity", IEEE Transactions on Image Processing
    13(4), Section III.B: a Gaussian window of 11 pixels with standard deviation 1.5, K1 = 0.01, K2 = 0.03, at every
    place where it lies whole inside the picture. The mean is over places, colour channels (the paper has grey pictures)
    and frames. In frames smaller than 11 pixels the window is the largest odd one that fits, with the same deviation.
    """
    return [float(_similarity(*pair)) for pair in zip(perturbed.double(), clean.double(), strict=True)]


def _similarity(
    perturbed: Float[Tensor, "segments 3 height width"], clean: Float[Tensor, "segments 3 height width"]
) -> Float[Tensor, ""]:
    height, width = clean.shape[-2:]
    window = gaussian_window(min(height, width)).to(clean)

    def local_mean(pictures: Tensor) -> Tensor:
        return functional.conv2d(pictures.reshape(-1, 1, height, width), window)

    mean, clean_mean = local_mean(perturbed), local_mean(clean)
    variance = local_mean(perturbed.square()) - mean.square()
    clean_variance = local_mean(clean.square()) - clean_mean.square()
    covariance = local_mean(perturbed * clean) - mean * clean_mean
    luminance = (2 * mean * clean_mean + K1**2) / (mean.square() + clean_mean.square() + K1**2)
    structure = (2 * covariance + K2**2) / (variance + clean_variance + K2**2)
    return (luminance * structure).mean()


def gaussian_window(frame_size: int) -> Float[Tensor, "1 1 side side"]:
    """The window for frames whose shorter side is `frame_size` pixels; its weights sum to 1."""
    side = min(WINDOW_PIXELS, frame_size - 1 + frame_size % 2)
    places = torch.arange(side, dtype=torch.float64) - side // 2
    weights = (-places.square() / (2 * WINDOW_DEVIATION**2)).exp()
    window = torch.outer(weights, weights)
    return (window / window.sum())[None, None]


def log_spectral_distance_db(
    perturbed: Float[Tensor, "batch segments mels steps"], clean: Float[Tensor, "batch segments mels steps"]
) -> list[float]:
    """Distance of each clip's log-mel patches, values in [0, 1], in decibels: 0 if they are the same.

    The root mean square over frequency of the difference between the log spectra of a moment (Gray and Markel 1976,
    "Distance measures for speech processing", IEEE Transactions on Acoustics, Speech, and Signal Processing 24(5),
    Equation 4 with p = 2), mean over moments. Frequency is in mel bands, as the model hears, so that perturbed patches
    and perturbed waveforms are measured alike; below -60 dB the front end hears silence, and so does this.
    """
    decibels = (perturbed - clean).double() * (LOGMEL_MAX_DB - LOGMEL_MIN_DB)
    distances: list[float] = decibels.square().mean(2).sqrt().flatten(1).mean(1).tolist()
    return distances
