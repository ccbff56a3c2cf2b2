"""Several trainings on the same clips: closed forms, and coverage on simulated data whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm
from scipy.stats import t as student

from evaluation.comparison.crossed import Draws, Outcomes, count_differing, smallest_p_value
from evaluation.intervals import Resampling

NUM_SIMULATIONS = 400


def outcomes(*hits: int, of: int = 100) -> Outcomes:
    """One training per number, right on the first so many clips."""
    return np.stack([np.arange(of) < count for count in hits])


def draws(num_clips: int = 100, *, num_draws: int = 2000, seed: int = 0) -> Draws:
    return Draws.draw(num_clips, num_draws=num_draws, seed=seed)


def simulated(random: np.random.Generator, easiness: np.ndarray, num_trainings: int, *, seeds: float) -> Outcomes:
    """Right where easiness of the clip + luck of the training + luck of both exceeds 0."""
    shape = (num_trainings, len(easiness))
    luck = random.normal(0.0, seeds, (num_trainings, 1)) if seeds else 0.0
    return np.asarray(easiness + luck + random.normal(0.0, 0.7, shape) > 0)


def test_single_trainings_are_tested_by_mcnemar_and_drawn_by_the_bootstrap() -> None:
    """60 against 52 of 100, on the same first clips: 8 wins, no loss: p = 2 / 2^8."""
    found = draws().difference(outcomes(60), outcomes(52))
    assert found.value == pytest.approx(0.08)
    assert found.p_value == pytest.approx(2 / 2**8)
    assert found.p_value == binomtest(8, 8).pvalue
    plain = Resampling.draw(100, num_draws=2000, seed=0)
    assert found.interval == plain.difference(outcomes(60)[0], outcomes(52)[0])
    assert draws().share(outcomes(60)).interval == plain.share(outcomes(60)[0])


def test_the_deviation_between_trainings_is_that_of_n_minus_1() -> None:
    """0.5, 0.6, 0.7: mean 0.6, deviation 0.1."""
    found = draws().share(outcomes(50, 60, 70))
    assert [found.value, found.deviation] == pytest.approx([0.6, 0.1])
    assert draws().share(outcomes(50)).deviation is None


def test_trainings_alone_give_the_t_interval_of_their_means() -> None:
    """Each training right on every clip or on none: clips say nothing, means 1, 0, 1, 1, of deviation 0.5.

    Its standard error is 0.5 / sqrt(4) = 0.25 with 3 degrees of freedom. The other's means 0, 1, 0, 1 have a deviation
    of 0.577 and an error of 0.289; the difference's is 0.382, its degrees of freedom 5.88 (Satterthwaite).
    """
    first, second = outcomes(100, 0, 100, 100), outcomes(0, 100, 0, 100)
    assert draws(num_draws=20000).share(first).interval == (0.0, 1.0)  # 0.75 - 3.18 * 0.25 is below 0
    found = draws(num_draws=20000).difference(first, second)
    error, freedom = (0.0625 + 1 / 12) ** 0.5, (0.0625 + 1 / 12) ** 2 / (0.0625**2 / 3 + (1 / 12) ** 2 / 3)
    assert freedom == pytest.approx(5.88, abs=0.01)
    assert found.interval[0] == pytest.approx(0.25 - student.ppf(0.975, freedom) * error, abs=0.02)
    assert found.p_value == pytest.approx(2 * student.sf(0.25 / error, freedom), abs=0.01)


def test_identical_methods_tie_with_certainty() -> None:
    for one in (outcomes(40), outcomes(40, 40), outcomes(100), outcomes(0, 0)):
        found = draws().difference(one, one)
        assert (found.value, found.p_value) == (0.0, 1.0)
        assert found.interval[0] < 0 < found.interval[1]


@pytest.mark.parametrize("trainings", [1, 3])
def test_a_method_that_is_always_right_beats_one_that_never_is(trainings: int) -> None:
    """On 10 clips: p = 2 / 2^10, and at least 0.025^(1/10) = 69 % of all clips are won, where draws would say 100 %."""
    found = draws(10).difference(outcomes(*[10] * trainings, of=10), outcomes(*[0] * trainings, of=10))
    assert found.p_value == pytest.approx(2 / 2**10)
    assert found.interval == pytest.approx((0.025**0.1, 1.0))
    backwards = draws(10).difference(outcomes(*[0] * trainings, of=10), outcomes(*[10] * trainings, of=10))
    assert backwards.interval == pytest.approx((-1.0, -(0.025**0.1)))


def test_swapping_the_methods_turns_the_sign() -> None:
    one, other = outcomes(60, 70), outcomes(50, 55)
    forwards, backwards = draws().difference(one, other), draws().difference(other, one)
    assert forwards.value == pytest.approx(-backwards.value)
    assert forwards.p_value == pytest.approx(backwards.p_value, rel=0.5)


@pytest.mark.parametrize(
    ("trainings", "seeds", "least"), [(1, 0.0, 0.92), (2, 0.2, 0.92), (3, 0.2, 0.92), (5, 0.0, 0.93), (5, 0.2, 0.92)]
)
def test_intervals_cover_the_truth_as_often_as_they_say(trainings: int, seeds: float, least: float) -> None:
    """400 simulations of two methods 0.3 apart on 100 clips: 95 % coverage has a standard deviation of 1.1 points."""
    random = np.random.default_rng(trainings)
    spread = np.sqrt(1.0 + 0.49 + seeds**2)
    truth = float(norm.cdf(0.3 / spread) - 0.5)
    covered = 0
    for number in range(NUM_SIMULATIONS):
        clips = random.normal(0.0, 1.0, 100)
        better = simulated(random, clips + 0.3, trainings, seeds=seeds)
        worse = simulated(random, clips, trainings, seeds=seeds)
        low, high = draws(num_draws=200, seed=number).difference(better, worse).interval
        covered += low <= truth <= high
    assert covered / NUM_SIMULATIONS >= least


def test_one_training_each_says_little_of_methods_whose_trainings_differ() -> None:
    """The reason for the sentence about single trainings: an interval over clips alone misses the truth often."""
    random = np.random.default_rng(0)
    covered = 0
    for number in range(200):
        clips = random.normal(0.0, 1.0, 200)
        pair = [simulated(random, clips, 1, seeds=0.3) for _ in range(2)]
        low, high = draws(200, num_draws=200, seed=number).difference(*pair).interval
        covered += low <= 0.0 <= high
    assert covered / 200 < 0.7


def test_differing_clips_are_counted() -> None:
    first, second = np.array([True, True, False, True]), np.array([False, True, True, False])
    assert count_differing(first, second) == (2, 1)


def test_the_smallest_p_value_of_few_trainings() -> None:
    """Of the C(6, 3) = 20 ways to divide six trainings two are as uneven as can be: 0.1; of C(8, 4) = 70: 0.029."""
    assert smallest_p_value(3, 3) == pytest.approx(0.1)
    assert smallest_p_value(4, 4) == pytest.approx(2 / 70)
    assert smallest_p_value(1, 1) == 1.0
    assert smallest_p_value(2, 5) == pytest.approx(2 / 21)
