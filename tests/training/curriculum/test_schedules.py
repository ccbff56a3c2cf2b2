from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from training.curriculum.schedules import Adaptive, AnySchedule, Constant, Cosine, Linear, Piecewise, Schedule, Step

ADAPTER: TypeAdapter[Schedule] = TypeAdapter(AnySchedule)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Constant(value=3), [3, 3, 3, 3, 3]),
        (Linear(start=1, end=5), [1, 2, 3, 4, 5]),
        (Linear(start=1, end=5, until=0.5), [1, 3, 5, 5, 5]),
        (Cosine(start=0, end=1), [0, 0.1464466, 0.5, 0.8535534, 1]),
        (Step(levels=(1, 2, 4), starts=(0, 0.5, 1)), [1, 1, 2, 2, 4]),
        (Step(levels=(1, 2), starts=(0.3, 0.75)), [1, 1, 1, 2, 2]),
        (Piecewise(points=((0, 1), (0.5, 5), (1, 3))), [1, 3, 5, 4, 3]),
        (Piecewise(points=((0.25, 2), (0.75, 4))), [2, 2, 3, 4, 4]),
        (Piecewise(points=((0.5, 7),)), [7, 7, 7, 7, 7]),
    ],
    ids=str,
)
def test_schedules_give_these_values_at_quarters(schedule: Schedule, expected: list[float]) -> None:
    assert [schedule.at(progress) for progress in (0.0, 0.25, 0.5, 0.75, 1.0)] == pytest.approx(expected)


@pytest.mark.parametrize("text", [0.25, 1, "0.25"])
def test_a_plain_number_is_a_constant(text: float | str) -> None:
    assert ADAPTER.validate_python(text) == Constant(value=float(text))


def test_a_truth_is_no_number() -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(True)


def test_an_unknown_schedule_is_told_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="'constant', 'linear', 'cosine', 'step', 'piecewise', 'adaptive'"):
        ADAPTER.validate_python({"name": "exponential"})


def test_points_are_written_as_pairs() -> None:
    found = ADAPTER.validate_python({"name": "piecewise", "points": [[0.0, 1], [0.5, 5]]})
    assert found == Piecewise(points=((0.0, 1.0), (0.5, 5.0)))


@pytest.mark.parametrize("starts", [(0.5, 0.2, 0.9), (0, 0.5, 1.5), (-0.1, 0.5, 1), (0, 0.5, 0.5)])
def test_steps_and_points_ascend_within_training(starts: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match=r"starts must be ascending numbers in \[0, 1\], got \["):
        Step(levels=(1, 2, 3), starts=starts)
    with pytest.raises(ValidationError, match=r"points: their progress must be ascending numbers in \[0, 1\], got \["):
        Piecewise(points=tuple((start, 1.0) for start in starts))


def test_steps_need_one_start_per_level() -> None:
    with pytest.raises(ValidationError, match=r"starts must be 3 numbers, one per level, got \[0.0, 0.5\]"):
        Step(levels=(1, 2, 3), starts=(0, 0.5))


@pytest.mark.parametrize(
    "schedule",
    [Linear(start=3, end=1), Cosine(start=0, end=2, until=0.3), Piecewise(points=((0, 1), (0.2, -4), (0.9, 2)))],
    ids=str,
)
def test_a_schedule_stays_between_its_values(schedule: Schedule) -> None:
    found = [schedule.at(percent / 100) for percent in range(101)]
    assert (min(found), max(found)) == pytest.approx((min(schedule.values), max(schedule.values)))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Adaptive(levels=(1, 3, 5), patience=1), [1, 1, 1, 3, 3, 3, 5, 5, 5]),
        (Adaptive(levels=(1, 3, 5), patience=2), [1, 1, 1, 1, 3, 3, 3, 3, 3]),
        (Adaptive(levels=(1, 3, 5), patience=1, min_gain=0.15), [1, 1, 3, 3, 5, 5, 5, 5, 5]),
        (Adaptive(levels=(1, 3, 5), patience=9, target=0.3), [1, 1, 3, 5, 5, 5, 5, 5, 5]),
        (Adaptive(levels=(1, 3), patience=9), [1, 1, 1, 1, 1, 1, 1, 1, 1]),
    ],
    ids=str,
)
def test_a_level_lasts_as_long_as_the_history_says(schedule: Adaptive, expected: list[float]) -> None:
    """The values of epochs 1 to 9 when robust accuracy rises to 0.3, stays, falls, and rises again."""
    accuracies = [0.2, 0.3, 0.3, 0.25, 0.26, 0.24, 0.5, 0.5]
    found = [schedule.for_next_epoch(accuracies[:epochs]).value for epochs in range(9)]
    assert found == expected


def test_other_schedules_do_not_hear_of_accuracies() -> None:
    schedule = Linear(start=1, end=5)
    assert schedule.for_next_epoch([0.9, 0.1]) is schedule


def test_adaptation_needs_two_levels() -> None:
    with pytest.raises(ValidationError, match="at least 2 items"):
        Adaptive(levels=(1,))
