from __future__ import annotations

import numpy as np
import pytest

from studies.training.shares import shares


def test_the_share_is_the_mean_over_seeds() -> None:
    """Two seeds, four clips: 3/4 and 1/4, and 2/4 in both."""
    first = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], bool)
    second = np.array([[1, 1, 0, 0], [1, 1, 0, 0]], bool)
    found = shares({"base": first, "other": second}, "base")
    assert found["base"].rate == found["other"].rate == 0.5
    assert found["other"].difference == 0.0


def test_agreement_on_all_clips_is_not_certainty() -> None:
    """The two agree on 4 clips: that still allows 1 - 0.025^(1/4)."""
    right = np.array([[True, True, False, True]])
    found = shares({"base": right, "other": right.copy()}, "base")
    assert found["other"].difference == 0.0
    assert found["other"].difference_interval == pytest.approx((-0.6024, 0.6024), abs=1e-4)
    assert found["base"].difference_interval == (0.0, 0.0)


def test_differences_are_paired() -> None:
    """One is right on a clip more in some draws, and never on a clip less."""
    base = np.array([[True, True, False, False]])
    better = np.array([[True, True, True, False]])
    low, high = shares({"base": base, "better": better}, "base")["better"].difference_interval
    assert low == 0.0
    assert high > 0.3


def test_an_interval_tells_luck_from_a_gain() -> None:
    """Gains on 40 of 80 clips and losses on none are no luck; 2 gains and 2 losses may be."""
    base = np.zeros((2, 80), dtype=bool)
    base[:, 40:42] = True
    clear, even = base.copy(), base.copy()
    clear[:, :40] = True
    even[:, 40:42] = False
    even[:, :2] = True
    found = shares({"base": base, "clear": clear, "even": even}, "base")
    assert found["clear"].difference == pytest.approx(0.5)
    assert found["clear"].difference_interval[0] > 0.3
    low, high = found["even"].difference_interval
    assert low < 0.0 < high
