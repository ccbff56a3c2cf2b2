from __future__ import annotations

import numpy as np
import pytest

from studies.successes import Successes, on_victim, transfer, white_box


@pytest.fixture
def successes() -> Successes:
    """One seed, two surrogates, a third victim, four clips.

    The victims get 4, 2 and 0 clips right. `plain` fools nobody but the surrogates themselves on clips 0 and 1;
    `better` fools the others on clip 0, too.
    """
    is_right = np.array([[[True] * 4, [True, True, False, False], [False] * 4]])
    plain = np.zeros((1, 2, 3, 4), dtype=bool)
    plain[0, 0, 0, :2] = plain[0, 1, 1, :2] = True
    plain[0, :, 1, 2:] = True  # clips that victim 1 gets wrong in any case
    better = plain.copy()
    better[0, :, :2, 0] = True
    return Successes(is_right=is_right, is_wrong={"plain": plain, "better": better})


def test_success_counts_only_clips_that_the_victim_gets_right_untouched(successes: Successes) -> None:
    """On themselves: 2 of 4 and 2 of 2, mean 3/4. Carried over, `better` fools 1 of 4 and 1 of 2, mean 3/8."""
    assert white_box(successes, "plain")["plain"].rate == pytest.approx(0.75)
    carried = transfer(successes, "plain")
    assert carried["plain"].rate == 0.0
    assert carried["better"].rate == pytest.approx(0.375)
    assert carried["better"].difference == pytest.approx(0.375)


def test_a_victim_that_gets_nothing_right_cannot_be_fooled(successes: Successes) -> None:
    assert on_victim(successes, "plain", 2)["better"].rate == 0.0


def test_agreement_on_all_clips_is_not_certainty(successes: Successes) -> None:
    """The two attacks differ on no clip that counts in the white box: 0 of 4 clips still allows 1 - 0.025^(1/4)."""
    found = white_box(successes, "plain")
    assert found["better"].difference == 0.0
    assert found["better"].difference_interval == pytest.approx((-0.6024, 0.6024), abs=1e-4)
    assert found["plain"].difference_interval == (0.0, 0.0)


def test_differences_are_paired(successes: Successes) -> None:
    """`better` fools a clip more than `plain` in some draws, and never a clip less."""
    low, high = transfer(successes, "plain")["better"].difference_interval
    assert low == 0.0
    assert high > 0.3


def test_an_interval_tells_luck_from_a_gain() -> None:
    """Wins on 40 of 80 clips and losses on none are no luck; 2 wins and 2 losses may be."""
    right = np.ones((2, 2, 80), dtype=bool)
    base = np.zeros((2, 2, 2, 80), dtype=bool)
    base[..., 40:42] = True
    clear, even = base.copy(), base.copy()
    clear[..., :40] = True
    even[..., 40:42] = False
    even[..., :2] = True
    found = transfer(Successes(right, {"base": base, "clear": clear, "even": even}), "base")
    assert found["clear"].difference == pytest.approx(0.5)
    assert found["clear"].difference_interval[0] > 0.3
    low, high = found["even"].difference_interval
    assert low < 0.0 < high
