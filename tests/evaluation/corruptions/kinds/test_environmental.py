from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.corruptions.kinds.base import Clip
from evaluation.corruptions.kinds.environmental import (
    RAIN_DEPTHS,
    Frost,
    Snow,
    Spatter,
    Underwater,
    Wind,
    falling,
)
from evaluation.corruptions.materials.draws import Draws
from tests.evaluation.corruptions.conftest import made_clip


def of_colour(level: float, size: int = 64) -> Clip:
    clip = made_clip(size, size)
    return replace(clip, video=np.full_like(clip.video, level))


def test_rain_falls_by_its_speed_from_frame_to_frame() -> None:
    """One depth alone: the second frame is the first one moved, but for the gusts that make all of it fainter."""
    clip, draws = made_clip(64, 64), Draws(0, "rain", "a clip")
    [depth] = RAIN_DEPTHS[:1]
    layers = falling(clip, draws, (depth,), coverage=0.1, max_degrees=0.0)
    down = [round(depth[2] * 64 * second) for second in clip.frame_seconds]
    back = [np.roll(layer, -step, axis=0) for layer, step in zip(layers, down, strict=True)]
    strengths = draws.gusts().at(clip.frame_seconds)
    for layer, strength in zip(back, strengths, strict=True):
        assert np.allclose(layer * strengths[0], back[0] * strength, atol=1e-6)
    assert np.corrcoef(layers[0].ravel(), layers[1].ravel())[0, 1] < 0.3  # it has fallen


def test_all_rain_of_a_clip_has_one_slant() -> None:
    """Streaks make the picture smooth along them: the direction of the least gradient is the same in all frames."""
    clip = of_colour(0.2)
    layers = falling(clip, Draws(0, "rain", "slant"), RAIN_DEPTHS[2:], coverage=0.1, max_degrees=45.0)
    slants = []
    for layer in layers:
        down, right = np.gradient(layer)
        slants.append(0.5 * np.degrees(np.arctan2(2.0 * (down * right).mean(), (right**2 - down**2).mean())))
    assert np.ptp(slants) < 6.0


def test_snow_is_white() -> None:
    found = Snow()(of_colour(0.1), 5, seed=0).video
    assert found.max() > 0.85
    assert found.mean() > 0.2


@pytest.mark.parametrize("severity", [1, 5])
def test_frost_is_the_weighted_sum_and_one_window_for_the_clip(severity: int) -> None:
    """On black the ice alone is left: the same in every frame, and at most its weight."""
    corruption = Frost()
    found = corruption(of_colour(0.0), severity, seed=0).video  # type: ignore[arg-type]
    assert np.ptp(found, axis=0).max() == 0.0
    assert found.max() <= corruption.ice[severity - 1] + 1e-6
    border = np.concatenate([found[0, :, :6], found[0, :, -6:]]).mean()
    assert border > 1.3 * found[0, :, 24:40, 24:40].mean()


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_spatter_covers_the_share_named(severity: int) -> None:
    corruption = Spatter()
    found = corruption(of_colour(0.6), severity, seed=0).video  # type: ignore[arg-type]
    is_covered = (np.abs(found[0] - 0.6) > 1e-3).any(0)
    assert is_covered.mean() == pytest.approx(corruption.coverage[severity - 1], abs=0.08)


def test_mud_is_brown_and_water_is_not() -> None:
    water, mud = (Spatter()(of_colour(0.6), severity, seed=0).video for severity in (3, 4))
    red, green, blue = mud.mean((0, 2, 3))
    assert red > green > blue
    assert water.mean() > 0.6 > mud.mean()


def test_wind_blurs_along_one_direction() -> None:
    """At angle 0 rows are smoothed and columns are not: a picture of level stripes stays, one of upright ones fades."""
    upright = made_clip(64, 64)
    stripes = np.broadcast_to(np.arange(64) // 4 % 2, (8, 3, 64, 64)).astype(np.float32)
    upright = replace(upright, video=stripes)
    level = replace(upright, video=stripes.swapaxes(2, 3).copy())
    wind = Wind(max_degrees=0.0)
    assert np.abs(wind(level, 5, seed=0).video - level.video)[:, :, 8:-8].max() < 0.12
    assert wind(upright, 5, seed=0).video.std() < 0.5 * upright.video.std()


def test_wind_blurs_more_in_gusts() -> None:
    clip = made_clip(64, 64)
    strengths = Draws(0, "wind", clip.key).gusts().at(clip.frame_seconds)
    changes = np.abs(Wind()(clip, 2, seed=0).video - clip.video).mean((1, 2, 3))
    assert np.corrcoef(strengths, changes)[0, 1] > 0.95


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_it_is_red_that_water_swallows(severity: int) -> None:
    """The published code swaps channels twice over, and takes the blue."""
    red, green, blue = Underwater()(of_colour(0.5), severity, seed=0).video.mean((0, 2, 3))  # type: ignore[arg-type]
    assert red < green < blue
    assert red < 0.5 * Underwater().red[severity - 1] + 0.01


def test_water_takes_contrast() -> None:
    clip = made_clip(64, 64)
    spreads = [Underwater()(clip, severity, seed=0).video[:, 1].std() for severity in (1, 3, 5)]
    assert clip.video[:, 1].std() > spreads[0] > spreads[1] > spreads[2]
