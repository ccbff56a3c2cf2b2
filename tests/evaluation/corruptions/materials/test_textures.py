from __future__ import annotations

import numpy as np
import pytest

from evaluation.corruptions.materials.textures import (
    blended,
    blobs,
    largest_share,
    motion_blur,
    moved,
    particles,
    scaled,
    smooth_noise,
    streak,
    stretched,
)


@pytest.mark.parametrize("size", [(16, 16), (33, 20), (64, 96)])
def test_clouds_and_blobs_fill_their_range_and_wrap_around(size: tuple[int, int]) -> None:
    """The step over a border is no larger than those inside."""
    for layer in (
        smooth_noise(np.random.default_rng(0), size, roughness=2.0),
        blobs(np.random.default_rng(0), size, radius=3.0),
    ):
        assert (layer.min(), layer.max(), layer.shape) == (0.0, 1.0, size)
        inside = np.abs(np.diff(layer, axis=0)).max()
        assert np.abs(layer[0] - layer[-1]).max() < 1.5 * inside


def test_a_smaller_exponent_is_rougher() -> None:
    rough, smooth = (smooth_noise(np.random.default_rng(0), (64, 64), roughness=each) for each in (1.0, 2.0))
    assert np.abs(np.diff(rough)).mean() > 2.0 * np.abs(np.diff(smooth)).mean()


def test_lengths_follow_the_short_side() -> None:
    assert scaled(10, (224, 224)) == 10
    assert scaled(10, (112, 500)) == 5


def test_a_level_layer_stretches_to_nothing() -> None:
    assert not stretched(np.full((3, 3), 0.7)).any()


def test_the_named_share_exceeds_its_value() -> None:
    layer = np.random.default_rng(0).random((100, 100))
    assert (layer > largest_share(layer, 0.2)).mean() == pytest.approx(0.2, abs=1e-3)


def test_more_coverage_keeps_the_particles_that_are_there() -> None:
    stamp = streak(4.0, width=0.6, angle=0.3)
    few, many = (particles(np.random.default_rng(0), (64, 64), coverage=each, stamp=stamp) for each in (0.02, 0.2))
    assert (many >= few - 1e-9).all()
    assert few.min() >= 0.0
    assert many.max() <= 1.0
    assert many.mean() > 5.0 * few.mean()


def test_there_is_at_least_one_particle_even_on_the_smallest_picture() -> None:
    stamp = streak(9.0, width=1.0, angle=0.0)
    assert particles(np.random.default_rng(0), (4, 4), coverage=1e-3, stamp=stamp).max() > 0.3


def test_a_streak_is_as_long_and_slanted_as_it_is_told() -> None:
    rows, columns = np.nonzero(streak(20.0, width=0.7, angle=0.0) > 0.5)
    assert np.ptp(rows) == pytest.approx(20, abs=2)
    assert np.ptp(columns) <= 2
    rows, columns = np.nonzero(streak(20.0, width=0.7, angle=np.pi / 4) > 0.5)
    assert np.corrcoef(rows, columns)[0, 1] > 0.9


def test_what_leaves_at_one_border_comes_in_at_the_other() -> None:
    layer = np.arange(12.0).reshape(3, 4)
    assert np.array_equal(moved(layer, down=1.2, right=-0.9), np.roll(layer, (1, -1), (0, 1)))


@pytest.mark.parametrize("size", [(4, 4), (16, 16), (40, 24)])
def test_motion_blur_keeps_what_is_level_and_the_size(size: tuple[int, int]) -> None:
    frames = np.full((2, 3, *size), 0.3)
    found = motion_blur(frames, radius=6.0, sigmas=np.array([1.0, 4.0]), angle=0.4)
    assert found.shape == frames.shape
    assert np.allclose(found, 0.3)


def test_blending_goes_to_the_colour_by_its_weight() -> None:
    frames, colour = np.zeros((2, 3, 4, 4)), np.array([1.0, 0.5, 0.0])
    for weight in (np.asarray(0.5), np.full((4, 4), 0.5), np.full((2, 4, 4), 0.5)):
        assert np.allclose(blended(frames, colour, weight)[:, 1], 0.25)
