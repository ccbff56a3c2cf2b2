"""The time that a training will take, told as soon as it can be known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from preprocessing.reporting.progress import duration

T = TypeVar("T")

TIMED_STEPS = 10
TIMED_SECONDS = 8.0
"""The estimate is told after so many steps or seconds, whichever comes first; the first step, a slow one, is not timed.
"""


def estimated(
    steps: Iterable[T],
    *,
    num_steps: int,
    done: int = 0,
    num_epochs: int,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[T]:
    """Pass the steps of an epoch on, and say once what an epoch and `num_epochs` of them will take.

    `done` of its `num_steps` were taken before. If only one or two are left, nothing is said: they are over before
    anything is known.
    """
    started: float | None = None
    is_told = False
    for number, step in enumerate(steps):
        if started is not None and number > 1 and not is_told:
            seconds = clock() - started
            if number - 1 >= min(TIMED_STEPS, num_steps - done - 2) or seconds >= TIMED_SECONDS:
                each = seconds / (number - 1)
                say(
                    f"estimate: {each:.2g} s a step, {duration(num_steps * each)} an epoch, "
                    f"{duration(num_epochs * num_steps * each)} for {num_epochs} epochs; validation comes on top"
                )
                is_told = True
        if number == 1:
            started = clock()
        yield step


def estimate_by(history: Sequence[Mapping[str, float]], *, num_epochs: int) -> str:
    """The estimate of a training that goes on: its epochs took so long, validation included."""
    each = sum(metrics["time/epoch_seconds"] for metrics in history) / len(history)
    left = num_epochs - len(history)
    return f"estimate: {duration(each)} an epoch as before, {duration(left * each)} for the {left} left"
