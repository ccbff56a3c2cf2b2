"""SSIM and log-spectral distance against their formulas, written out window by window in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from evaluation.perceptibility.measures import gaussian_window, log_spectral_distance_db, structural_similarity


def similarity_by_loops(first: NDArray[np.float64], second: NDArray[np.float64], side: int) -> float:
    """Equation 13 of Wang et al. 2004 at every place of one grey picture, with moments about the local means."""
    places = np.arange(side) - side // 2
    weights = np.exp(-(places[:, None] ** 2 + places[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    found = []
    for top in range(first.shape[0] - side + 1):
        for left in range(first.shape[1] - side + 1):
            x = first[top : top + side, left : left + side]
            y = second[top : top + side, left : left + side]
            mx, my = (weights * x).sum(), (weights * y).sum()
            vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
            cov = (weights * (x - mx) * (y - my)).sum()
            c1, c2 = 0.01**2, 0.03**2
            found.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return float(np.mean(found))


@pytest.mark.parametrize(("height", "width", "side"), [(16, 20, 11), (11, 11, 11), (9, 12, 9), (8, 8, 7), (1, 5, 1)])
def test_similarity_is_that_of_the_paper(height: int, width: int, side: int) -> None:
    """Mean over two clips' frames and channels; the window of small frames is the largest odd one that fits."""
    generator = np.random.default_rng(0)
    clean = generator.random((2, 3, 3, height, width))
    changed = (clean + generator.normal(0, 0.1, clean.shape)).clip(0, 1)
    expected = [
        np.mean(
            [
                similarity_by_loops(a, b, side)
                for a, b in zip(x.reshape(-1, height, width), y.reshape(-1, height, width), strict=True)
            ]
        )
        for x, y in zip(changed, clean, strict=True)
    ]
    found = structural_similarity(torch.from_numpy(changed), torch.from_numpy(clean))
    assert found == pytest.approx(expected, abs=1e-12)
    assert gaussian_window(min(height, width)).shape == (1, 1, side, side)


def test_two_flat_pictures_differ_in_luminance_alone() -> None:
    """No variance: (2 * 0.5 * 0.25 + 1e-4) / (0.25 + 0.0625 + 1e-4) = 0.2501 / 0.3126 = 0.80006."""
    pictures = torch.full((1, 2, 3, 12, 12), 0.5)
    assert structural_similarity(pictures / 2, pictures) == pytest.approx([0.2501 / 0.3126], abs=1e-6)
    assert structural_similarity(pictures, pictures) == pytest.approx([1.0])


def test_an_inverted_picture_is_less_than_unlike() -> None:
    """Covariance is the negative variance; black and white stripes give about -1."""
    stripes = (torch.arange(24) % 2).double().expand(1, 1, 3, 24, 24)
    [found] = structural_similarity(1 - stripes, stripes)
    assert -1.0 < found < -0.95


def test_distance_of_spectra_is_in_decibels() -> None:
    """A tenth of the range is 11 dB; in half of the bands 11 / sqrt 2, and half of that in one segment of two."""
    clean = torch.full((3, 2, 4, 5), 0.5)
    changed = clean.clone()
    changed[1] += 0.1
    changed[2, 0, :2] -= 0.1
    assert log_spectral_distance_db(changed, clean) == pytest.approx([0.0, 11.0, 11.0 / 2**0.5 / 2], rel=1e-6)


def test_distance_is_that_of_the_formula() -> None:
    generator = np.random.default_rng(1)
    first, second = generator.random((2, 1, 3, 6, 7))
    differences = 110.0 * (first - second)
    expected = np.mean(
        [np.sqrt(np.mean(differences[0, segment, :, step] ** 2)) for segment in range(3) for step in range(7)]
    )
    found = log_spectral_distance_db(torch.from_numpy(first), torch.from_numpy(second))
    assert found == pytest.approx([float(expected)], rel=1e-12)
