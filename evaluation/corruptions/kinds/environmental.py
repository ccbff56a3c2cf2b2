"""Environmental corruptions: weather and water between the scene and the camera, and what they sound like."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from evaluation.corruptions.kinds.base import Clip, Group, NoisyCorruption, Severity, at
from evaluation.corruptions.kinds.published import (
    FIRST_MUD,
    FROST_ICE,
    FROST_PICTURE,
    RAIN_COVERAGE,
    RAIN_DIMMING,
    SNOW_COVERAGE,
    SNOW_WHITENING,
    SPATTER_COVERAGE,
    UNDERWATER_BLUR,
    UNDERWATER_CONTRAST,
    UNDERWATER_HAZE,
    UNDERWATER_RED,
    WIND_MAX_DEGREES,
    WIND_RADIUS,
    WIND_SIGMA,
    Levels,
)
from evaluation.corruptions.materials import sounds
from evaluation.corruptions.materials.draws import Draws
from evaluation.corruptions.materials.frost import frost
from evaluation.corruptions.materials.mixing import Wave
from evaluation.corruptions.materials.textures import (
    Frames,
    Layer,
    blended,
    blobs,
    largest_share,
    motion_blur,
    moved,
    particles,
    scaled,
    smooth_noise,
    streak,
)

SNOW_WHITE = np.array([0.95, 0.96, 1.0])
RAIN_GREY = np.array([0.80, 0.83, 0.87])
SKY_GREY = np.array([0.45, 0.48, 0.52])
ICE = np.array([0.90, 0.96, 1.0])
WATER = np.array([0.72, 0.88, 0.92])
MUD = np.array([0.25, 0.16, 0.08])
DEEP = np.array([0.03, 0.36, 0.44])
LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in a grey."""


Falling = Float[np.ndarray, "segments height width"]

RAIN_DEPTHS = ((12.0, 0.5, 1.37, 0.45), (24.0, 0.7, 2.23, 0.65), (44.0, 1.1, 3.71, 0.85))
SNOW_DEPTHS = ((1.0, 0.9, 0.13, 0.65), (2.0, 1.7, 0.21, 0.85), (4.0, 3.0, 0.34, 1.0))
"""Far to near: length and width of a particle in pixels, short sides that it falls in a second, opacity."""


class Snow(NoisyCorruption):
    """Falling snow: flakes of three depths that drift down, and a scene that whitens."""

    name: Literal["snow"] = "snow"
    group: ClassVar[Group] = "environmental"
    coverage: Levels = SNOW_COVERAGE
    """Share of the picture under flakes."""
    whitening: Levels = SNOW_WHITENING
    """Weight with which the scene turns to a brighter grey."""
    max_degrees: float = 25.0
    """Largest slant of the fall from upright."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames behind the flakes."""
        grey = np.tensordot(clip.video, LUMA, axes=(1, 0))[:, None]
        pale = np.maximum(clip.video, 0.5 + 0.5 * grey)
        whitened = clip.video + at(self.whitening, severity) * (pale - clip.video)
        layers = falling(clip, draws, SNOW_DEPTHS, coverage=at(self.coverage, severity), max_degrees=self.max_degrees)
        return blended(whitened, SNOW_WHITE, layers)

    def noise(self, random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
        """Soft wind and steps in snow."""
        return sounds.snow(random, num_samples, rate_hz)


class Frost(NoisyCorruption):
    """A frosted window that stays as it is."""

    name: Literal["frost"] = "frost"
    group: ClassVar[Group] = "environmental"
    picture: Levels = FROST_PICTURE
    """Weight of the frames."""
    ice: Levels = FROST_ICE
    """Weight of the ice that is added."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames behind the window."""
        window = frost(draws.random("video"), clip.size) * ICE[:, None, None]
        return np.asarray(at(self.picture, severity) * clip.video + at(self.ice, severity) * window)

    def noise(self, random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
        """Ice that cracks and tinkles."""
        return sounds.ice(random, num_samples, rate_hz)


class Spatter(NoisyCorruption):
    """Splashes on the lens that stay: clear water at first, mud at severities 4 and 5."""

    name: Literal["spatter"] = "spatter"
    group: ClassVar[Group] = "environmental"
    coverage: Levels = SPATTER_COVERAGE
    """Share of the picture under the liquid."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames through the liquid."""
        random = draws.random("video")
        liquid = blobs(random, clip.size, radius=max(0.6, scaled(9.0, clip.size)))
        liquid = 0.75 * liquid + 0.25 * blobs(random, clip.size, radius=max(0.5, scaled(3.0, clip.size)))
        edge = largest_share(liquid, at(self.coverage, severity))
        thickness = ((liquid - edge) / (0.25 * float(np.ptp(liquid)))).clip(0.0, 1.0)
        if severity >= FIRST_MUD:
            return blended(clip.video, MUD, (8.0 * thickness).clip(0.0, 0.97))
        return _seen_through_water(clip.video, thickness)

    def noise(self, random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
        """Drops of water."""
        return sounds.drops(random, num_samples, rate_hz)


class Wind(NoisyCorruption):
    """A camera shaken by wind: motion blur along one direction, stronger in gusts."""

    name: Literal["wind"] = "wind"
    group: ClassVar[Group] = "environmental"
    radius: Levels = WIND_RADIUS
    """Reach of the blur in pixels of a picture of 224."""
    sigma: Levels = WIND_SIGMA
    """Standard deviation of the blur in the same pixels."""
    max_degrees: float = WIND_MAX_DEGREES
    """Largest angle of the blur from level."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames blurred."""
        angle = np.radians(draws.random("video").uniform(-self.max_degrees, self.max_degrees))
        sigma = scaled(at(self.sigma, severity), clip.size)
        sigmas = sigma * draws.gusts().at(clip.frame_seconds)
        return motion_blur(clip.video, radius=scaled(at(self.radius, severity), clip.size), sigmas=sigmas, angle=angle)

    def noise(self, random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
        """Wind that howls."""
        return sounds.wind(random, num_samples, rate_hz)


class Rain(NoisyCorruption):
    """Falling rain: streaks of three depths at one slant, under a sky that dims the scene."""

    name: Literal["rain"] = "rain"
    group: ClassVar[Group] = "environmental"
    coverage: Levels = RAIN_COVERAGE
    """Share of the picture under streaks."""
    dimming: Levels = RAIN_DIMMING
    """Weight with which the scene turns grey."""
    max_degrees: float = 20.0
    """Largest slant of the fall from upright."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames behind the streaks."""
        dimmed = blended(clip.video, SKY_GREY, np.asarray(at(self.dimming, severity)))
        layers = falling(clip, draws, RAIN_DEPTHS, coverage=at(self.coverage, severity), max_degrees=self.max_degrees)
        return blended(dimmed, RAIN_GREY, layers)

    def noise(self, random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
        """Rain that patters."""
        return sounds.rain(random, num_samples, rate_hz)


class Underwater(NoisyCorruption):
    """A scene under water: red is lost, the rest blurs, pales and turns blue-green, under light that sways."""

    name: Literal["underwater"] = "underwater"
    group: ClassVar[Group] = "environmental"
    red: Levels = UNDERWATER_RED
    """Share of the red light that is left."""
    contrast: Levels = UNDERWATER_CONTRAST
    """Share of the contrast that is left."""
    blur: Levels = UNDERWATER_BLUR
    """Standard deviation of the blur in pixels of a picture of 224."""
    haze: Levels = UNDERWATER_HAZE
    """Weight of the water's own colour."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames through the water."""
        blur = scaled(at(self.blur, severity), clip.size)
        blurred = ndimage.gaussian_filter(clip.video.astype(np.float64), (0.0, 0.0, blur, blur))
        middle = blurred.mean((2, 3), keepdims=True)
        flat = middle + at(self.contrast, severity) * (blurred - middle)
        absorbed = flat * np.array([at(self.red, severity), 1.0, 1.0])[:, None, None]
        light = smooth_noise(draws.random("video"), clip.size, roughness=1.8) - 0.5
        swaying = [moved(light, down=0, right=0.03 * second * clip.size[1]) for second in clip.frame_seconds]
        haze = at(self.haze, severity) * (1.0 + 0.5 * np.stack(swaying))
        return blended(absorbed, DEEP, haze)

    def noise(self, random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
        """The roar and the bubbles of water."""
        return sounds.underwater(random, num_samples, rate_hz)


def falling(
    clip: Clip,
    draws: Draws,
    depths: tuple[tuple[float, float, float, float], ...],
    *,
    coverage: float,
    max_degrees: float,
) -> Falling:
    """The opacity of what falls before each frame: the same particles in all of them, each depth at its own speed.

    All fall along one slant, and are more opaque in gusts.
    """
    random = draws.random("video")
    angle = float(np.radians(random.uniform(-max_degrees, max_degrees)))
    short = min(clip.size)
    transparency = np.ones((len(clip.video), *clip.size))
    for length, width, speed, opacity in depths:
        stamp = streak(scaled(length, clip.size), width=max(0.4, scaled(width, clip.size)), angle=angle)
        layer = particles(random, clip.size, coverage=coverage / len(depths), stamp=stamp)
        transparency *= 1.0 - opacity * np.stack(list(_fall(layer, clip, speed=speed * short, angle=angle)))
    strengths = draws.gusts().at(clip.frame_seconds)
    return np.asarray(((1.0 - transparency) * strengths[:, None, None]).clip(0.0, 1.0))


def _fall(layer: Layer, clip: Clip, *, speed: float, angle: float) -> list[Layer]:
    """The layer at the time of each frame, `speed` in pixels a second."""
    return [
        moved(layer, down=speed * second * np.cos(angle), right=speed * second * np.sin(angle))
        for second in clip.frame_seconds
    ]


def _seen_through_water(video: Frames, thickness: Layer) -> Frames:
    """Frames with drops that brighten them, with a light rim above and a shadow below."""
    slope = np.gradient(thickness, axis=0)
    relief = slope / max(float(np.abs(slope).max()), 1e-9)
    body = blended(video, WATER, 0.55 * np.minimum(1.0, 3.0 * thickness))
    return np.asarray(body + 0.35 * relief)
