from __future__ import annotations

import math

import pytest
import torch

from training.attacks.engine.windows import (
    canvas_of,
    on_canvas,
    tiled_bumps,
    window_bump,
    window_corners,
    window_mask,
    window_sizes,
)


@pytest.mark.parametrize(
    ("stream", "canvas"),
    [((2, 4, 3, 8, 6), (2, 3, 3, 8, 6)), ((2, 4, 8, 5), (2, 3, 1, 8, 5)), ((2, 4, 100), (2, 1, 1, 300))],
    ids=["frames", "log-mels", "waveform"],
)
def test_a_canvas_holds_the_allowed_segments_and_is_laid_back_where_it_was(
    stream: tuple[int, ...], canvas: tuple[int, ...]
) -> None:
    clean = torch.rand(stream)
    segments = torch.tensor([0, 2, 3])
    assert canvas_of(clean, segments).shape == canvas
    painted = on_canvas(canvas_of(clean, segments) + 1.0, clean, segments)
    assert torch.equal(painted[:, segments], clean[:, segments] + 1.0)
    assert torch.equal(painted[:, 1], clean[:, 1])


def test_a_window_of_one_frame_is_the_papers_square() -> None:
    """sqrt(0.8) x 224 = 200.4, sqrt(0.05) x 224 = 50.1."""
    assert window_sizes(0.8, (1, 224, 224)) == (1, 200, 200)
    assert window_sizes(0.05, (1, 224, 224)) == (1, 50, 50)


@pytest.mark.parametrize("share", [0.8, 0.4, 0.1, 0.05])
@pytest.mark.parametrize("shape", [(10, 224, 224), (10, 128, 96), (1, 160_000)], ids=str)
def test_a_window_covers_about_its_share(share: float, shape: tuple[int, ...]) -> None:
    """Sides are rounded: 1 % here or there."""
    covered = math.prod(window_sizes(share, shape)) / math.prod(shape)
    assert covered == pytest.approx(share, rel=0.05)


def test_no_window_is_smaller_than_a_value_or_larger_than_the_canvas() -> None:
    assert window_sizes(1e-9, (4, 8, 8)) == (1, 1, 1)
    assert window_sizes(1e-9, (4, 8, 8), smallest=3) == (1, 3, 3)
    assert window_sizes(1e-9, (4, 2, 8), smallest=3) == (1, 2, 3)
    assert window_sizes(1.0, (4, 8, 8)) == (4, 8, 8)


def test_windows_lie_where_their_corners_say() -> None:
    corners = torch.tensor([[0, 1, 2], [2, 0, 0]])
    mask = window_mask(corners, (4, 5, 6), (2, 3, 2))
    assert mask.shape == (2, 4, 1, 5, 6)
    first = torch.zeros(4, 1, 5, 6, dtype=torch.bool)
    first[0:2, :, 1:4, 2:4] = True
    assert torch.equal(mask[0], first)
    assert mask[1, 2:4, :, 0:3, 0:2].all()
    assert mask.sum() == 2 * 12


def test_corners_are_uniform_among_the_places_that_fit() -> None:
    """A side of 3 in 5 fits at 0, 1 and 2."""
    draws = torch.linspace(0, 1, 3001, dtype=torch.float64)[:-1, None]
    places = window_corners(draws, (5,), (3,))[:, 0]
    assert places.bincount().tolist() == [1000, 1000, 1000]


def test_a_bump_rises_to_its_middle_and_is_negative_in_one_half() -> None:
    """Side 4 has n = 2 rings: 1 / 9 at the edge, 1 / 9 + 1 / 4 inside; the split at 0 halves the first axis."""
    bump = window_bump(torch.tensor([[0, 0, 0]]), (1, 4, 4), (1, 4, 4), torch.tensor([0.0], dtype=torch.float64))
    edge, top = 1 / 9, 1 / 9 + 1 / 4
    half = torch.tensor([[edge] * 4, [edge, top, top, edge]], dtype=torch.float64)
    assert torch.allclose(bump[0, 0, 0], torch.cat([half, -half.flip(0)]))
    turned = window_bump(torch.tensor([[0, 0, 0]]), (1, 4, 4), (1, 4, 4), torch.tensor([0.5], dtype=torch.float64))
    assert torch.allclose(turned[0, 0, 0], bump[0, 0, 0].T)


def test_tiled_bumps_have_their_tiles_signs() -> None:
    """A side of 10 has five tiles of 2 values, each one ring high: 1 / 4."""
    signs = torch.where(torch.rand(2, 1, 5, 5, generator=torch.Generator().manual_seed(0)) < 0.5, -1.0, 1.0)
    bumps = tiled_bumps(signs, (10, 10))
    assert bumps.shape == (2, 1, 10, 10)
    assert torch.equal(bumps, 0.25 * signs.repeat_interleave(2, 2).repeat_interleave(2, 3))
