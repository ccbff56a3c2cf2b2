from __future__ import annotations

import numpy as np

from evaluation.corruptions.materials.draws import GUST_DEPTH, Draws


def test_streams_belong_to_seed_corruption_key_and_purpose() -> None:
    first = Draws(0, "rain", "clip").random("video").random(4)
    assert np.array_equal(first, Draws(0, "rain", "clip").random("video").random(4))
    others = [
        Draws(1, "rain", "clip").random("video"),
        Draws(0, "snow", "clip").random("video"),
        Draws(0, "rain", "another").random("video"),
        Draws(0, "rain", "clip").random("sound"),
    ]
    assert all(not np.array_equal(first, other.random(4)) for other in others)


def test_gusts_rise_and_fall_smoothly_about_one() -> None:
    seconds = np.linspace(0.0, 100.0, 20_001)
    strengths = Draws(0, "wind", "clip").gusts().at(seconds)
    assert 1.0 - GUST_DEPTH <= strengths.min() < 0.9
    assert 1.1 < strengths.max() <= 1.0 + GUST_DEPTH
    assert abs(strengths.mean() - 1.0) < 0.05
    assert np.abs(np.diff(strengths)).max() < 0.01
