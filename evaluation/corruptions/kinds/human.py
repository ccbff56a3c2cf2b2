"""Human-related corruptions: what people do before a camera, with it, and beside its microphone."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from evaluation.corruptions.kinds.base import Clip, Corruption, Group, NoisyCorruption, Severity, at
from evaluation.corruptions.kinds.published import (
    CONCERT_BRIGHTNESS,
    CROWD_SIDE,
    INTERFERENCE_CHUNK_SECONDS,
    INTERFERENCE_MAX_DEGREES,
    INTERFERENCE_MUTED,
    SMOKE_AMOUNT,
    Levels,
)
from evaluation.corruptions.materials import sounds
from evaluation.corruptions.materials.draws import Draws
from evaluation.corruptions.materials.mixing import Wave
from evaluation.corruptions.materials.recordings import Recordings
from evaluation.corruptions.materials.textures import Frames, Layer, moved, smooth_noise

PEOPLE = ((0.34, 0.0), (0.68, 0.04), (0.25, 0.28), (0.75, 0.24), (0.5, 0.42))
"""Middle and top of the heads of a crowd, the last one in front, as shares of the box that it fills."""


class Concert(NoisyCorruption):
    """Stage light that grows and fades with the music: brightness is added, hue and saturation stay."""

    name: Literal["concert"] = "concert"
    group: ClassVar[Group] = "human"
    brightness: Levels = CONCERT_BRIGHTNESS
    """Brightness that is added, of [0, 1]: the value of hue, saturation and value."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The brighter frames."""
        added = at(self.brightness, severity) * draws.gusts().at(clip.frame_seconds)
        value = clip.video.max(1, keepdims=True).astype(np.float64)
        brighter = (value + added[:, None, None, None]).clip(max=1.0)
        factor = np.divide(brighter, value, out=np.zeros_like(value), where=value > 0.0)
        return np.asarray(np.where(value > 0.0, clip.video * factor, brighter))

    def noise(self, random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
        """A band and its audience."""
        return sounds.concert(random, num_samples, rate_hz)


class Smoke(NoisyCorruption):
    """Smoke that drifts: clouds added to the frames, which are then brought back to their own range."""

    name: Literal["smoke"] = "smoke"
    group: ClassVar[Group] = "human"
    amount: Levels = SMOKE_AMOUNT
    """Thickest smoke, in units of full brightness."""
    speed: float = 0.04
    """Picture widths that it drifts in a second."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames behind the smoke."""
        amount, random = at(self.amount, severity), draws.random("video")
        clouds = smooth_noise(random, clip.size, roughness=1.6)
        along = self.speed * clip.size[1] * (1.0 if random.random() < 0.5 else -1.0)
        drifting = [moved(clouds, down=-0.3 * abs(along) * each, right=along * each) for each in clip.frame_seconds]
        smoke = amount * np.stack(drifting)[:, None]
        brightest = float(clip.video.max())
        return np.asarray((clip.video + smoke) * brightest / max(brightest + amount, 1e-9))

    def noise(self, random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
        """A fire and a siren."""
        return sounds.fire(random, num_samples, rate_hz)


class Crowd(NoisyCorruption):
    """People before the camera: heads and shoulders that pass slowly in front of the scene."""

    name: Literal["crowd"] = "crowd"
    group: ClassVar[Group] = "human"
    side: Levels = CROWD_SIDE
    """Sides of the box that they fill, as a share of the picture's."""
    max_speed: float = 0.04
    """Picture widths that they move in a second, at most."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames behind the people, who keep within the picture, at its lower border."""
        random = draws.random("video")
        height, width = (max(1, round(at(self.side, severity) * side)) for side in clip.size)
        start, speed = random.uniform(), random.uniform(-self.max_speed, self.max_speed)
        figures = people((height, width))
        greys = random.uniform(0.04, [0.12, 0.40] * len(PEOPLE))  # hair, then clothes
        colours = greys[:, None] * random.uniform(0.75, 1.25, (len(figures), 3))
        video = clip.video.copy()
        for frame, second in zip(video, clip.frame_seconds, strict=True):
            place = 1.0 - abs(1.0 - (start + speed * second) % 2.0)  # to a border and back
            left = round(place * (clip.size[1] - width))
            box = frame[:, clip.size[0] - height :, left : left + width]
            for figure, colour in zip(figures, colours, strict=True):
                box[:, figure] = colour[:, None]
        return video

    def noise(self, random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
        """Many voices."""
        return sounds.babble(random, num_samples, rate_hz)


class Interference(Corruption):
    """A device that is tampered with: the camera is turned, and the microphone is off for a while."""

    name: Literal["interference"] = "interference"
    group: ClassVar[Group] = "human"
    max_degrees: Levels = INTERFERENCE_MAX_DEGREES
    """Largest angle by which the camera is turned, to either side."""
    muted: Levels = INTERFERENCE_MUTED
    """Share of the samples that are silent."""
    chunk_seconds: float = INTERFERENCE_CHUNK_SECONDS
    """Longest silence."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames turned about their middle by one angle; the corners that come into view are black."""
        degrees = at(self.max_degrees, severity) * draws.random("video").uniform(-1.0, 1.0)
        return np.asarray(ndimage.rotate(clip.video, degrees, axes=(3, 2), reshape=False, order=1))

    def corrupt_sound(self, clip: Clip, severity: Severity, draws: Draws, recordings: Recordings | None) -> Wave:
        """The waveform with silences that do not overlap: the share is exact to one sample."""
        num_samples = len(clip.waveform)
        chunk = max(1, round(self.chunk_seconds * clip.sample_rate_hz))
        order = muting_order(draws.random("sound"), num_samples, chunk=chunk)
        waveform = clip.waveform.copy()
        waveform[order[: round(at(self.muted, severity) * num_samples)]] = 0.0
        return waveform


def muting_order(random: np.random.Generator, num_samples: int, *, chunk: int) -> np.ndarray:
    """The order in which samples fall silent: chunk after chunk, which begin at a random sample and lie in no order.

    A larger share thus silences what a smaller one does, and more.
    """
    starts = np.arange(0, num_samples, chunk)
    places = [np.arange(start, min(start + chunk, num_samples)) for start in random.permutation(starts)]
    return (np.concatenate([*places, np.empty(0, int)]) + random.integers(max(1, num_samples))) % max(1, num_samples)


def people(size: tuple[int, int]) -> list[Bool[np.ndarray, "height width"]]:
    """The outlines of a crowd that fills a box, those behind first: a head and what is below it, by turns."""
    rows = ((np.arange(size[0]) + 0.5) / size[0])[:, None]
    columns = ((np.arange(size[1]) + 0.5) / size[1])[None, :]
    outlines = []
    for middle, top in PEOPLE:
        shoulders = _ellipse(rows, columns, middle=(top + 0.58, middle), radii=(0.25, 0.25))
        body = (rows > top + 0.58) & (np.abs(columns - middle) < 0.25)
        outlines += [_ellipse(rows, columns, middle=(top + 0.17, middle), radii=(0.17, 0.11)), shoulders | body]
    return outlines


def _ellipse(
    rows: Float[np.ndarray, "height 1"],
    columns: Float[np.ndarray, "1 width"],
    *,
    middle: tuple[float, float],
    radii: tuple[float, float],
) -> Bool[np.ndarray, "height width"]:
    """True inside an ellipse; lengths are shares of the box."""
    inside: Layer = ((rows - middle[0]) / radii[0]) ** 2 + ((columns - middle[1]) / radii[1]) ** 2
    return inside <= 1.0
