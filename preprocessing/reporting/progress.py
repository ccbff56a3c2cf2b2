"""Progress of long work: how much is done, how fast it goes, how long the rest takes, and when to say so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

SECONDS_BETWEEN_LINES = 10.0
"""Long work says something this often."""


class Progress:
    """A count of work done out of `total`, in any unit, and the speed at which it is done.

    progress = Progress(len(clips))
    for clip in clips:
        measure(clip)
        progress.add()
        if progress.is_due():
            logger.info("%d/%d clips, %s", progress.done, progress.total, progress.time_left())
    """

    def __init__(self, total: int | float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done: int | float = 0
        """Units that are finished, whenever that was."""
        self._clock = clock
        self._last_line = clock()
        self.restart()

    def restart(self) -> None:
        """Measure the speed from now on: what came before, such as the start of workers, says nothing about it."""
        self._started = self._clock()
        self._timed: int | float = 0

    def add(self, amount: int | float = 1) -> None:
        """Count work that was done just now."""
        self.done += amount
        self._timed += amount

    def skip(self, amount: int | float) -> None:
        """Count work that was found done: it says nothing about the speed."""
        self.done += amount

    @property
    def rate(self) -> float:
        """Units a second; 0 as long as it is unknown."""
        seconds = self._clock() - self._started
        return self._timed / seconds if seconds > 0 else 0.0

    def time_left(self, *, least_share: float = 0.0) -> str:
        """The time that the rest takes at this speed, in words: `12 s left`, `unknown time left`.

        Args:
            least_share: share of all work that must have been timed before its speed says anything.
        """
        remaining, rate = self.total - self.done, self.rate
        if remaining <= 0:
            return f"{duration(0)} left"
        return (
            f"{duration(remaining / rate)} left"
            if rate and self._timed >= least_share * self.total
            else "unknown time left"
        )

    def is_due(self, *, always: bool = False) -> bool:
        """True if a line was due by now, or `always`; the next one is then due `SECONDS_BETWEEN_LINES` later."""
        now = self._clock()
        if not always and now - self._last_line < SECONDS_BETWEEN_LINES:
            return False
        self._last_line = now
        return True


def announced(items: Iterable[T], *, total: int, log: Callable[[str], None], what: str, done: int = 0) -> Iterator[T]:
    """Pass items on, and log `WHAT 40/200, 12 s left` every few seconds; `done` of the `total` were there before."""
    progress = Progress(total)
    progress.skip(done)
    for item in items:
        yield item
        progress.add()
        if progress.is_due() and progress.done < total:
            log(f"{what} {progress.done}/{progress.total}, {progress.time_left()}")


def duration(seconds: float | int) -> str:
    """A time in words: `40 s`, `1 min 40 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
