from __future__ import annotations

import numpy as np
import pytest

from evaluation.corruptions.materials.frost import frost, nearness_of_border


@pytest.mark.parametrize("size", [(16, 16), (224, 224), (48, 80)])
def test_ice_is_thickest_at_the_border_and_drawn_by_the_seed(size: tuple[int, int]) -> None:
    first = frost(np.random.default_rng(0), size)
    assert first.shape == size
    assert 0.0 <= first.min() < first.max() <= 1.0
    weight = nearness_of_border(size)
    assert first[weight > 0.8].mean() > 1.2 * first[weight < 0.1].mean()
    assert np.array_equal(first, frost(np.random.default_rng(0), size))
    assert not np.array_equal(first, frost(np.random.default_rng(1), size))


def test_ice_has_needles() -> None:
    """Bright lines on a darker ground: far above the mean in some places, and thin."""
    ice = frost(np.random.default_rng(0), (224, 224))
    assert (ice > 0.85).mean() < 0.3
    assert np.abs(np.diff(ice, axis=1)).max() > 0.25
