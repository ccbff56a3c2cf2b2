"""Frost on a window: ferns of ice that grow from the border, over a film that is thickest there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from evaluation.corruptions.materials.textures import Layer, Size, smooth_noise

CANVAS = 600
"""Short side in pixels on which lines are drawn, and then made smaller, so that ice looks alike at any size."""
FERNS_PER_BORDER = 7
BRANCH_DEGREES = 60.0
"""Ice crystals branch in sixties."""
MIN_BRANCH = 0.02
"""Shortest branch, as a share of the short side."""

Line = tuple[float, float, float, float, float]
"""Start and end, x and y each, and brightness; lengths are shares of the short side."""


def frost(random: np.random.Generator, size: Size) -> Layer:
    """The thickness of the ice, in [0, 1]."""
    short = max(CANVAS, min(size))
    height, width = (round(side * short / min(size)) for side in size)
    picture = Image.new("L", (width, height))
    pen = ImageDraw.Draw(picture)
    for start_x, start_y, end_x, end_y, brightness in _ferns(random, width / short, height / short):
        ends = (start_x * short, start_y * short, end_x * short, end_y * short)
        pen.line(ends, fill=round(255 * brightness), width=max(1, round(0.006 * short * brightness)))
    needles = np.asarray(picture.resize(size[::-1], Image.Resampling.BOX), np.float64) / 255.0
    glow = picture.filter(ImageFilter.GaussianBlur(0.012 * short)).resize(size[::-1], Image.Resampling.BOX)
    film = smooth_noise(random, size, roughness=1.3) * (0.35 + 0.65 * nearness_of_border(size))
    ice = 0.45 * film + 0.9 * np.asarray(glow, np.float64) / 255.0 + 0.55 * needles
    return np.asarray(ice.clip(0.0, 1.0))


def nearness_of_border(size: Size) -> Layer:
    """1 at the border, 0 in the middle."""
    rows, columns = (np.abs(np.linspace(-1.0, 1.0, side)) for side in size)
    return np.maximum(rows[:, None], columns[None, :]) ** 2


def _ferns(random: np.random.Generator, width: float, height: float) -> Iterator[Line]:
    """Ferns from every border, leaning, each with its branches."""
    borders = (
        (0.0, 0.0, width, 0.0, 90.0),
        (width, 0.0, 0.0, height, 180.0),
        (0.0, height, width, 0.0, 270.0),
        (0.0, 0.0, 0.0, height, 0.0),
    )
    for left, top, along_x, along_y, inwards in borders:
        for number in range(FERNS_PER_BORDER):
            place = (number + random.uniform()) / FERNS_PER_BORDER
            heading = inwards + random.uniform(-45.0, 45.0)
            length = random.uniform(0.15, 0.6)
            yield from _fern(random, left + place * along_x, top + place * along_y, heading, length, 1.0)


def _fern(
    random: np.random.Generator, x: float, y: float, heading: float, length: float, brightness: float
) -> Iterator[Line]:
    """A stem that bends a little, with pairs of shorter and fainter ferns along it."""
    num_joints = max(3, round(length / 0.03))
    step = length / num_joints
    for joint in range(num_joints):
        heading += random.uniform(-3.0, 3.0)
        end_x, end_y = x + step * np.cos(np.radians(heading)), y + step * np.sin(np.radians(heading))
        yield x, y, end_x, end_y, brightness
        x, y = end_x, end_y
        branch = 0.45 * length * (1.0 - joint / num_joints) * random.uniform(0.5, 1.0)
        if branch >= MIN_BRANCH:
            for side in (-BRANCH_DEGREES, BRANCH_DEGREES):
                yield from _fern(random, x, y, heading + side, branch, 0.75 * brightness)
