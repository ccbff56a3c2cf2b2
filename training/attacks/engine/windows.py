"""Windows of a clip that a random search changes: runs of segments times rectangles of frames or audio."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

NUM_TILES = 5
"""Tiles per axis of the l2 start (Andriushchenko et al. 2020, arXiv:1912.00049, Section 3.4)."""

Canvas = Float[Tensor, "batch time channels *space"]


def canvas_of(stream: Float[Tensor, "batch segments *shape"], segments: Int[Tensor, " chosen"]) -> Tensor:
    """The segments that may change, laid out as `[batch, time, channels, *space]`.

    Frames are 3 channels on two axes, log-mel patches 1 channel on two. The waveform is 1 channel on one axis through
    all segments, which follow one another in time.
    """
    part = stream[:, segments]
    if part.dim() == 3:
        return part.reshape(len(part), 1, 1, -1)
    return part.unsqueeze(2) if part.dim() == 4 else part


def on_canvas(
    canvas: Canvas, stream: Float[Tensor, "batch segments *shape"], segments: Int[Tensor, " chosen"]
) -> Tensor:
    """The stream with these segments replaced."""
    painted = stream.clone()
    painted[:, segments] = canvas.reshape(len(stream), len(segments), *stream.shape[2:])
    return painted


def window_sizes(share: float, shape: Sequence[int], *, smallest: int = 1) -> tuple[int, ...]:
    """Segments and sides of a window that covers about `share` of a canvas of `shape`, time first.

    All sides are about the same part of their axis; what rounding takes from the run of segments the rectangle makes
    up for. One frame gives the source's square of side sqrt(share) x side.
    """
    time, *space = shape
    run = max(1, round(share ** (1 / len(shape)) * time))
    part = min(1.0, share * time / run) ** (1 / len(space))
    return run, *(min(side, max(smallest, round(part * side))) for side in space)


def window_corners(
    draws: Float[Tensor, "batch axes"], shape: Sequence[int], sizes: Sequence[int]
) -> Int[Tensor, "batch axes"]:
    """First corner of each clip's window, uniform among all that fit, from draws in [0, 1)."""
    choices = torch.tensor([side - size + 1 for side, size in zip(shape, sizes, strict=True)], device=draws.device)
    return (draws * choices).long()


def window_mask(
    corners: Int[Tensor, "batch axes"], shape: Sequence[int], sizes: Sequence[int]
) -> Bool[Tensor, "batch time 1 *space"]:
    """True inside each clip's window."""
    mask = torch.ones(len(corners), 1, 1, *([1] * (len(shape) - 1)), dtype=torch.bool, device=corners.device)
    for axis, size in enumerate(sizes):
        place = _places(corners, shape, axis)
        mask = mask & (place >= 0) & (place < size)
    return mask


def window_bump(
    corners: Int[Tensor, "batch axes"],
    shape: Sequence[int],
    sizes: Sequence[int],
    split: Float[Tensor, " batch"],
) -> Tensor:
    """A pyramid over each window, one half of it negative; `split` in [0, 1) chooses the axis that is halved.

    Height after Andriushchenko et al. (arXiv:1912.00049, Eq. 2): a ring k from the edge is sum_{j<=k} 1 / (n + 1 - j)^2
    high, n the number of rings. Values outside the window are of no meaning.
    """
    num_axes = len(sizes) - 1
    halved = (split * num_axes).long().reshape(-1, *([1] * (num_axes + 2)))
    ring: Tensor | None = None
    sign = torch.ones((), dtype=split.dtype, device=split.device)
    for axis in range(1, len(sizes)):
        place, size = _places(corners, shape, axis), sizes[axis]
        edge = torch.minimum(place, size - 1 - place)
        ring = edge if ring is None else torch.minimum(ring, edge)
        sign = torch.where((halved == axis - 1) & (place >= size // 2), -sign, sign)
    assert ring is not None, "a canvas has at least one axis beside time"
    heights = _heights(max(1, math.ceil(min(sizes[1:]) / 2))).to(split)
    return heights[ring.clamp(0, len(heights) - 1)] * sign


def tiled_bumps(signs: Float[Tensor, "batch 1 *tiles"], space: Sequence[int]) -> Tensor:
    """Pyramids in a grid of `NUM_TILES` per axis over the last axes, each times its tile's sign."""
    ring: Tensor | None = None
    for number, side in enumerate(space):
        axis = signs.dim() - len(space) + number
        tile = max(1, side // NUM_TILES)
        place = torch.arange(side, device=signs.device)
        signs = signs.index_select(axis, (place // tile).clamp_max(NUM_TILES - 1))
        inside = place % tile
        edge = torch.minimum(inside, tile - 1 - inside).reshape(-1, *([1] * (len(space) - 1 - number)))
        ring = edge if ring is None else torch.minimum(ring, edge)
    assert ring is not None, "there is at least one axis to tile"
    heights = _heights(max(1, math.ceil(max(1, min(space) // NUM_TILES) / 2))).to(signs)
    return signs * heights[ring.clamp_max(len(heights) - 1)]


def _heights(num_rings: int) -> Float[Tensor, " rings"]:
    return (1.0 / (num_rings + 1 - torch.arange(num_rings, dtype=torch.float64)) ** 2).cumsum(0)


def _places(corners: Int[Tensor, "batch axes"], shape: Sequence[int], axis: int) -> Int[Tensor, "batch *ones"]:
    """Each place's distance behind the clip's corner on an axis, shaped to broadcast over a canvas."""
    place = torch.arange(shape[axis], device=corners.device) - corners[:, axis, None]
    ones = [1] * (len(shape) + 1)
    ones[axis if axis == 0 else axis + 1] = shape[axis]
    return place.reshape(len(corners), *ones)
