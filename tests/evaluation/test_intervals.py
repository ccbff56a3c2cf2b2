from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from evaluation.intervals import Resampling, chance_of_excess, exact_interval, holm, mcnemar


def outcomes(hits: int, of: int) -> np.ndarray:
    return np.arange(of) < hits


def test_the_interval_of_a_share_has_the_binomial_width() -> None:
    """60 of 100: the normal half-width is 1.96 sqrt(0.6 0.4 / 100) = 0.096."""
    low, high = Resampling.draw(100, num_draws=5000, seed=0).share(outcomes(60, 100))
    assert low == pytest.approx(0.6 - 0.096, abs=0.011)
    assert high == pytest.approx(0.6 + 0.096, abs=0.011)


def test_a_seed_gives_the_same_interval_again() -> None:
    first, again = (Resampling.draw(50, num_draws=100, seed=3).share(outcomes(20, 50)) for _ in range(2))
    assert first == again
    assert first != Resampling.draw(50, num_draws=100, seed=4).share(outcomes(20, 50))


def test_no_hit_in_a_hundred_leaves_room_for_a_few_percent() -> None:
    """Clopper-Pearson: the upper end u solves (1 - u)^100 = 0.025, so u = 1 - 0.025^(1/100) = 0.0362."""
    low, high = Resampling.draw(100, num_draws=100, seed=0).share(outcomes(0, 100))
    assert low == 0.0
    assert high == pytest.approx(1 - 0.025 ** (1 / 100))
    assert exact_interval(100, 100) == pytest.approx((0.025 ** (1 / 100), 1.0))


def test_a_share_among_chosen_clips_counts_only_them() -> None:
    """The first 80 of 100 clips are chosen, 20 of them hit: 0.25 with a half-width of about 1.96 sqrt(.25 .75 / 80)."""
    interval = Resampling.draw(100, num_draws=5000, seed=0).share_among(outcomes(20, 100), outcomes(80, 100))
    assert interval is not None
    assert interval == pytest.approx((0.25 - 0.095, 0.25 + 0.095), abs=0.012)


def test_a_share_among_no_clips_has_no_interval() -> None:
    assert Resampling.draw(5, num_draws=10, seed=0).share_among(outcomes(3, 5), outcomes(0, 5)) is None


def test_a_paired_difference_is_narrower_than_two_separate_intervals() -> None:
    """Where one model is right, the other is too, but for 5 clips: the difference is 0.05 and cannot be below 0."""
    low, high = Resampling.draw(100, num_draws=2000, seed=0).difference(outcomes(55, 100), outcomes(50, 100))
    assert 0.0 <= low < 0.05 < high < 0.11


def test_models_that_agree_on_every_clip_may_still_differ_on_others() -> None:
    """No difference in 100 clips: at most 3.62 % may differ either way."""
    same = outcomes(40, 100)
    interval = Resampling.draw(100, num_draws=50, seed=0).difference(same, same)
    assert interval == pytest.approx((-0.0362, 0.0362), abs=1e-4)


def test_an_interval_needs_a_clip() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Resampling.draw(0, num_draws=10, seed=0)


def test_the_exact_interval_is_clopper_and_pearsons() -> None:
    """1 of 2: the lower end l solves 1 - (1 - l)^2 = 0.025, the upper end u solves 1 - u^2 = 0.025."""
    assert exact_interval(1, 2) == pytest.approx((1 - 0.975**0.5, 0.975**0.5), abs=1e-12)
    assert exact_interval(0, 100) == pytest.approx((0.0, 1 - 0.025 ** (1 / 100)), abs=1e-12)
    assert exact_interval(7, 7) == pytest.approx((0.025 ** (1 / 7), 1.0), abs=1e-12)


def test_an_excess_counts_only_the_clips_that_differ() -> None:
    """8 wins against 0 losses: 2^-8. Clips on which both agree change nothing."""
    less = outcomes(2, 20)
    assert chance_of_excess(outcomes(10, 20), less) == pytest.approx(2.0**-8, abs=1e-12)
    assert chance_of_excess(less, less) == 1.0


def test_two_wins_and_a_loss_are_as_likely_as_two_heads_or_more_in_three_throws() -> None:
    """3/8 + 1/8; with the sides exchanged one head or more, 7/8."""
    more, less = np.array([True, True, False, True]), np.array([False, False, True, True])
    assert chance_of_excess(more, less) == pytest.approx(0.5, abs=1e-12)
    assert chance_of_excess(less, more) == pytest.approx(0.875, abs=1e-12)


def test_an_interval_where_one_alone_is_right_on_every_clip_is_exact() -> None:
    """20 wins of 20: the lower end l solves l^20 = 0.025."""
    all_right, none_right = outcomes(20, 20), outcomes(0, 20)
    draws = Resampling.draw(20, num_draws=50, seed=0)
    assert draws.difference(all_right, none_right) == pytest.approx((0.025 ** (1 / 20), 1.0))
    assert draws.difference(none_right, all_right) == pytest.approx((-1.0, -(0.025 ** (1 / 20))))


@pytest.mark.parametrize(
    ("wins", "losses", "p_value"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 2 / 2**5),
        (0, 5, 2 / 2**5),
        (3, 1, 2 * (4 + 1) / 2**4),  # 3 or 4 of 4, and as uneven the other way
        (6, 6, 1.0),
    ],
)
def test_mcnemars_test_is_that_of_a_fair_coin(wins: int, losses: int, p_value: float) -> None:
    assert mcnemar(wins, losses) == pytest.approx(min(1.0, p_value), abs=1e-12)


def test_a_difference_among_some_clips_is_that_of_these_clips_alone() -> None:
    """As if the others did not exist, up to how often each number of clips is drawn; None without clips."""
    random = np.random.default_rng(3)
    chosen, one, other = (random.random(400) < share for share in (0.5, 0.6, 0.4))
    among = Resampling.draw(400, num_draws=4000, seed=0).difference_among(one, other, chosen)
    alone = Resampling.draw(int(chosen.sum()), num_draws=4000, seed=1).difference(one[chosen], other[chosen])
    assert among == pytest.approx(alone, abs=0.02)
    draws = Resampling.draw(400, num_draws=10, seed=0)
    assert draws.difference_among(one, other, np.zeros(400, bool)) is None
    most = exact_interval(0, int(chosen.sum()))[1]
    assert draws.difference_among(one, one | ~chosen, chosen) == (-most, most)


def test_mcnemars_test_is_twice_the_tail() -> None:
    """A fair coin is symmetric: both tails weigh the same."""
    for wins, losses in ((40, 20), (12, 30), (101, 99)):
        tail = float(binom.cdf(min(wins, losses), wins + losses, 0.5))
        assert mcnemar(wins, losses) == pytest.approx(min(1.0, 2 * tail), rel=1e-9)


def test_holms_correction_by_hand() -> None:
    """0.01 is the smallest of four: times 4; 0.02 times 3; 0.03 times 2, at least the one before; 0.5 as it is."""
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    assert holm([0.04]) == [0.04]


@pytest.mark.slow
def test_ten_comparisons_of_equal_models_raise_a_false_alarm_at_most_as_often_as_one() -> None:
    """2000 families of ten dependent comparisons: without a correction 30 % would raise one, with it 5 % at most."""
    random = np.random.default_rng(0)
    alarms, uncorrected = 0, 0
    for _ in range(2000):
        shared = random.random(150) < 0.6
        one, other = (shared ^ (random.random((10, 150)) < 0.25) for _ in range(2))
        p_values = [mcnemar(int((a & ~b).sum()), int((b & ~a).sum())) for a, b in zip(one, other, strict=True)]
        alarms += min(holm(p_values)) < 0.05
        uncorrected += min(p_values) < 0.05
    assert alarms / 2000 <= 0.05
    assert uncorrected / 2000 > 0.15
