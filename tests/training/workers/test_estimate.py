from __future__ import annotations

from collections.abc import Iterator

import pytest

from training.workers.estimate import TIMED_STEPS, estimate_by, estimated


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def told(num_steps: int, seconds: float, *, done: int = 0, epochs: int = 3) -> tuple[list[str], int | None]:
    """The lines about steps of so many seconds, the first one of a minute; and the step before which they were told."""
    clock, when = Clock(), None
    said: list[str] = []

    def steps() -> Iterator[int]:
        yield from range(num_steps - done)

    for number in estimated(steps(), num_steps=num_steps, done=done, num_epochs=epochs, say=said.append, clock=clock):
        when = number if said and when is None else when
        clock.now += 60.0 if number == 0 else seconds
    return said, when


def test_an_estimate_is_told_once_after_some_steps_and_leaves_the_slow_first_one_out() -> None:
    """200 steps of 0.1 s make 20 s an epoch, and a minute for three."""
    line = "estimate: 0.1 s a step, 20 s an epoch, 1 min 00 s for 3 epochs; validation comes on top"
    assert told(200, 0.1) == ([line], TIMED_STEPS + 1)


def test_slow_steps_are_told_earlier() -> None:
    said, when = told(200, 5.0)
    assert said == ["estimate: 5 s a step, 16 min 40 s an epoch, 50 min 00 s for 3 epochs; validation comes on top"]
    assert when == 3


@pytest.mark.parametrize(("num_steps", "done", "lines"), [(1, 0, 0), (2, 0, 0), (3, 0, 1), (10, 7, 1), (10, 8, 0)])
def test_an_epoch_that_is_over_before_anything_is_known_has_none(num_steps: int, done: int, lines: int) -> None:
    assert len(told(num_steps, 0.1, done=done)[0]) == lines


def test_a_training_that_goes_on_is_estimated_by_what_it_has_done() -> None:
    history = [{"time/epoch_seconds": 10.0}, {"time/epoch_seconds": 20.0}]
    assert estimate_by(history, num_epochs=6) == "estimate: 15 s an epoch as before, 1 min 00 s for the 4 left"
