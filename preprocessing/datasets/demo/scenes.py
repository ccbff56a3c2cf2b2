"""The picture of the demo's clips: four kinds of performer who move with the notes, before a drifting background.

Pictures are drawn at `WIDTH` x `HEIGHT` from signed distances (negative inside a shape, in units of the frame height)
and scaled up by the encoder.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from preprocessing.datasets.demo.sounds import Note

WIDTH, HEIGHT = 170, 128
_MARGIN = 20
"""Pixels that layers reach beyond the frame on each side, so that moving them needs no drawing."""
_NUM_POSES = 6
"""Drawings between rest and the strongest gesture."""

Plane = Float[np.ndarray, "height width"]
Picture = Float[np.ndarray, "3 height width"]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Actor:
    """A performer in the scene, and how clearly it shows: 0 is invisible, 1 covers the background."""

    look: str
    """A key of `LOOKS`."""
    contrast: float
    is_lead: bool = True
    """The lead moves with the notes in the middle of the frame; others stand small at the side and stay still."""


@dataclass(frozen=True)
class SceneStyle:
    """Disturbances of the picture, in units of the [0, 1] pixel range."""

    background_contrast: float
    """Spread of the background's slow texture."""
    camera_noise: float
    """Standard deviation of each frame's own grain."""
    lean: float
    """Standard deviations by which size and tint of the lead are off the middle."""


def render_frames(
    generator: np.random.Generator,
    actors: Sequence[Actor],
    notes: Sequence[Note],
    style: SceneStyle,
    *,
    num_frames: int,
    frames_per_second: float,
) -> UInt8[np.ndarray, "frames 3 height width"]:
    """RGB frames of the actors playing the notes; frame i is what is seen at i / frames_per_second seconds."""
    time = np.arange(num_frames) / frames_per_second
    gesture = gesture_strength(notes, time)
    background_path = _drift(generator, time, reach=_MARGIN - 2)
    sway = _drift(generator, time, reach=4)
    gain, offset = 255.0 * generator.uniform(0.8, 1.15), 255.0 * generator.uniform(-0.08, 0.08)
    background = gain * _background(generator, style.background_contrast) + offset
    sets = [_draw_poses(generator, actor, style.lean, gain=gain, offset=offset) for actor in actors]
    grain = 255.0 * style.camera_noise * generator.standard_normal((2 * HEIGHT, 2 * WIDTH), np.float32)
    corners = generator.integers((0, 0), (HEIGHT, WIDTH), (num_frames, 2))

    frames = np.empty((num_frames, 3, HEIGHT, WIDTH), np.uint8)
    for index, (top, left) in enumerate(corners):
        picture = _window(background, background_path[index]) + grain[top : top + HEIGHT, left : left + WIDTH]
        for actor, poses in zip(actors, sets, strict=True):
            strength = gesture[index] if actor.is_lead else 0.0
            shift = sway[index] + (0, round(6.0 * strength)) if actor.is_lead else sway[index] // 2
            drawing = poses[round(strength * (len(poses) - 1))]
            picture *= _window(drawing.transparency, shift)
            picture += _window(drawing.colour, shift)
        frames[index] = np.clip(picture, 0.0, 255.0, out=picture)
    return frames


def gesture_strength(notes: Sequence[Note], time: Float[np.ndarray, " frames"]) -> Float[np.ndarray, " frames"]:
    """Strength of the performer's gesture: jumps to the velocity at each onset and dies away in 0.15 s."""
    strength = np.zeros_like(time)
    for note in notes:
        since = time - note.onset_seconds
        strength = np.where(since >= 0.0, note.velocity * np.exp(-np.maximum(since, 0.0) / 0.15), strength)
    return strength


@dataclass(frozen=True)
class Drawing:
    """One pose of an actor, ready to be laid over the background: picture * transparency + colour."""

    colour: Picture
    """In [0, 255], already times the actor's opacity."""
    transparency: Plane


class Sketch:
    """A picture with transparency that shapes are painted on, in a tilted, scaled frame of its own."""

    def __init__(self, *, centre: tuple[float, float], scale: float, tilt: float = 0.0, mirrored: bool = False) -> None:
        """`centre` in units of the frame height from the middle of the frame; `tilt` in radians."""
        height, width = HEIGHT + 2 * _MARGIN, WIDTH + 2 * _MARGIN
        self.scale = scale * HEIGHT
        self.rows = (np.arange(height, dtype=np.float32) - height / 2 - centre[1] * HEIGHT) / self.scale
        self.columns = (np.arange(width, dtype=np.float32) - width / 2 - centre[0] * HEIGHT) / self.scale
        self.flip = -1.0 if mirrored else 1.0
        self.cosine, self.sine = np.cos(tilt), np.sin(tilt)
        self.colour = np.zeros((3, height, width), np.float32)
        self.alpha = np.zeros((height, width), np.float32)

    def disc(
        self, x: float, y: float, radius: float, colour: Colour, *, stretch: float = 1.0, tilted: bool = False
    ) -> None:
        """Paint an ellipse, `stretch` times as high as wide."""
        region, across, down = self._around(x, y, radius * max(1.0, stretch), tilted)
        self._fill(region, np.hypot(across, down / stretch) - radius, colour)

    def box(
        self, x: float, y: float, half_width: float, half_height: float, colour: Colour, *, tilted: bool = False
    ) -> None:
        """Paint a rectangle."""
        region, across, down = self._around(x, y, float(np.hypot(half_width, half_height)), tilted)
        self._fill(region, np.maximum(np.abs(across) - half_width, np.abs(down) - half_height), colour)

    def _around(self, x: float, y: float, reach: float, tilted: bool) -> tuple[tuple[slice, slice], Plane, Plane]:
        """The pixels within `reach` of a point, and how far across and down of it they lie."""
        cosine, sine = (self.cosine, self.sine) if tilted else (1.0, 0.0)
        middle_x, middle_y = self.flip * (cosine * x - sine * y), sine * x + cosine * y
        reach += 2.0 / self.scale
        rows = slice(*np.searchsorted(self.rows, (middle_y - reach, middle_y + reach)))
        columns = slice(*np.searchsorted(self.columns, (middle_x - reach, middle_x + reach)))
        right, below = self.flip * (self.columns[None, columns] - middle_x), self.rows[rows, None] - middle_y
        return (rows, columns), cosine * right + sine * below, cosine * below - sine * right

    def _fill(self, region: tuple[slice, slice], distance: Plane, colour: Colour) -> None:
        """Paint everything inside a signed distance, with a soft edge of one pixel."""
        cover = np.clip(0.5 - distance * self.scale, 0.0, 1.0)
        for plane, value in zip(self.colour, colour, strict=True):
            plane[region] += cover * (value - plane[region])
        self.alpha[region] += cover * (1.0 - self.alpha[region])


@dataclass(frozen=True)
class Palette:
    """Random colours and proportions of one performer."""

    skin: Colour
    cloth: Colour
    main: Colour
    dark: Colour
    light: Colour
    place: float
    """Position in [0, 1] of what else may vary, such as where the hands rest."""


def string_instrument(sketch: Sketch, palette: Palette, pose: float) -> None:
    """A player with a waisted wooden body and a long neck across the chest; the hand strikes across the strings."""
    _person(sketch, palette)
    for x, radius in ((-0.15, 0.175), (0.06, 0.125)):
        sketch.disc(x, 0.02, radius, palette.main, tilted=True)
    sketch.disc(-0.01, 0.02, 0.05, palette.dark, tilted=True)
    sketch.box(0.30, 0.02, 0.22, 0.026, palette.dark, tilted=True)
    sketch.box(0.53, 0.02, 0.05, 0.04, palette.dark, tilted=True)
    sketch.box(0.14, 0.02, 0.34, 0.008, palette.light, tilted=True)
    sketch.box(-0.2, 0.02, 0.015, 0.06, palette.dark, tilted=True)
    sketch.disc(0.36 + 0.1 * palette.place, 0.04, 0.05, palette.skin, tilted=True)
    sketch.disc(-0.08, -0.08 + 0.2 * pose, 0.055, palette.skin, tilted=True)


def keyboard(sketch: Sketch, palette: Palette, pose: float) -> None:
    """A player behind a wide case with white and black keys; the hands strike down."""
    _person(sketch, palette)
    sketch.box(0.0, 0.16, 0.47, 0.17, palette.dark)
    sketch.box(0.0, 0.21, 0.44, 0.11, palette.light)
    for key in range(-5, 6):
        sketch.box(0.08 * key, 0.21, 0.006, 0.11, palette.dark)
        if key % 7 not in (2, 6):
            sketch.box(0.08 * key, 0.165, 0.022, 0.065, palette.dark)
    for side in (-1.0, 1.0):
        sketch.disc(side * (0.12 + 0.16 * palette.place), 0.12 + 0.1 * pose, 0.06, palette.skin, stretch=1.2)


def bellows(sketch: Sketch, palette: Palette, pose: float) -> None:
    """A player who holds a pleated bag between two panels at the chest; each note pulls it open."""
    _person(sketch, palette)
    half_width = 0.17 + 0.12 * pose
    sketch.box(0.0, 0.08, half_width, 0.22, palette.main)
    for pleat in range(-3, 4):
        sketch.box(pleat * half_width / 3.5, 0.08, half_width / 14.0, 0.22, palette.light)
    for side in (-1.0, 1.0):
        sketch.box(side * (half_width + 0.05), 0.08, 0.055, 0.25, palette.dark)
        sketch.disc(side * (half_width + 0.09), 0.02 + 0.12 * palette.place, 0.055, palette.skin)


def face(sketch: Sketch, palette: Palette, pose: float) -> None:
    """A face close up with the hands at the mouth; the mouth opens with each note."""
    sketch.box(0.0, 0.52, 0.36, 0.16, palette.cloth)
    sketch.disc(0.0, -0.08, 0.29, palette.dark, stretch=1.3)
    sketch.disc(0.0, 0.0, 0.26, palette.skin, stretch=1.35)
    for side in (-1.0, 1.0):
        sketch.disc(side * 0.1, -0.07, 0.045, palette.light, stretch=0.6)
        sketch.disc(side * 0.1, -0.07, 0.024, palette.dark)
    sketch.box(0.0, 0.03, 0.02, 0.05, palette.dark)
    sketch.disc(0.0, 0.18, 0.1, palette.dark, stretch=0.25 + 0.7 * pose)
    sketch.box(0.0, 0.26, 0.1 + 0.06 * palette.place, 0.03, palette.light)
    for side in (-1.0, 1.0):
        sketch.disc(side * (0.16 + 0.05 * palette.place), 0.27 + 0.04 * pose, 0.07, palette.skin)


Look = Callable[[Sketch, Palette, float], None]
LOOKS: dict[str, Look] = {
    "string_instrument": string_instrument,
    "keyboard": keyboard,
    "bellows": bellows,
    "face": face,
}


def _person(sketch: Sketch, palette: Palette) -> None:
    """Head, hair and shoulders, the same for all who play something."""
    sketch.disc(0.0, -0.37, 0.1, palette.dark, stretch=1.2)
    sketch.disc(0.0, -0.34, 0.09, palette.skin, stretch=1.2)
    sketch.box(0.0, 0.2, 0.19, 0.44, palette.cloth)


def _palette(generator: np.random.Generator, lean: float) -> Palette:
    def colour(hue: tuple[float, float], saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
        return colorsys.hsv_to_rgb(*(generator.uniform(*span) for span in (hue, saturation, value)))

    tint = 0.05 * lean
    return Palette(
        skin=colour((0.04, 0.09), (0.3, 0.6), (0.45, 0.95)),
        cloth=colour((0.0, 1.0), (0.1, 0.6), (0.2, 0.7)),
        main=colour((0.0 + tint, 0.15 + tint), (0.4, 0.9), (0.4, 0.9)),
        dark=colour((0.0, 1.0), (0.1, 0.5), (0.02, 0.22)),
        light=colour((0.0, 1.0), (0.0, 0.15), (0.8, 1.0)),
        place=generator.uniform(0.0, 1.0),
    )


def _draw_poses(
    generator: np.random.Generator, actor: Actor, lean: float, *, gain: float, offset: float
) -> list[Drawing]:
    """The actor from rest to the strongest gesture, in the light of a camera with `gain` and `offset`."""
    palette = _palette(generator, lean)
    size = generator.uniform(0.8, 1.1) * (1.0 + 0.06 * lean)
    centre = (generator.uniform(-0.1, 0.1), generator.uniform(-0.06, 0.06))
    if not actor.is_lead:
        size *= 0.45
        centre = (float(generator.choice([-0.36, 0.36])), generator.uniform(-0.2, 0.2))
    tilt, mirrored = generator.uniform(-0.9, 0.1), bool(generator.random() < 0.5)
    drawings = []
    for pose in np.linspace(0.0, 1.0, _NUM_POSES) if actor.is_lead else [0.0]:
        sketch = Sketch(centre=centre, scale=size, tilt=tilt, mirrored=mirrored)
        LOOKS[actor.look](sketch, palette, float(pose))
        colour = actor.contrast * (gain * sketch.colour + offset * sketch.alpha)
        drawings.append(Drawing(colour.astype(np.float32), (1.0 - actor.contrast * sketch.alpha).astype(np.float32)))
    return drawings


def _background(generator: np.random.Generator, contrast: float) -> Picture:
    """A random wall: colours that vary smoothly at four sizes of detail, wider than the frame."""
    height, width = HEIGHT + 2 * _MARGIN, WIDTH + 2 * _MARGIN
    picture = np.zeros((3, height, width), np.float32) + generator.uniform(0.25, 0.75, (3, 1, 1)).astype(np.float32)
    for cells, share in ((2, 0.6), (5, 0.5), (11, 0.4), (23, 0.3)):
        knots = generator.standard_normal((3, cells, cells + 2), np.float32)
        knots = contrast * share * (1.2 * knots.mean(axis=0) + 0.4 * knots)
        picture += _interpolation(cells, height) @ knots @ _interpolation(cells + 2, width).T
    return np.clip(picture, 0.0, 1.0)


def _interpolation(knots: int, points: int) -> Plane:
    """The matrix that interpolates `knots` values linearly at `points` places."""
    place = np.linspace(0.0, knots - 1.0, points)
    distance = np.abs(place[:, None] - np.arange(knots)[None, :])
    return np.maximum(0.0, 1.0 - distance).astype(np.float32)


def _drift(generator: np.random.Generator, time: Float[np.ndarray, " frames"], *, reach: int) -> np.ndarray:
    """Slow movement within `reach` pixels: whole (x, y) pixels for each frame."""
    speed, phase = generator.uniform(0.3, 1.2, 2), generator.uniform(0.0, 6.28, 2)
    path: np.ndarray = np.rint(reach * np.sin(speed * time[:, None] + phase))
    return path.astype(np.int64)


def _window(layer: Float[np.ndarray, "*channels height width"], shift: np.ndarray) -> Float[np.ndarray, "..."]:
    """The part of a layer that the frame shows after moving the layer by `shift` pixels (x, y)."""
    top, left = _MARGIN - int(shift[1]), _MARGIN - int(shift[0])
    return layer[..., top : top + HEIGHT, left : left + WIDTH]
