"""The progress of an evaluation and the time it has left, in one log line per attack."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from evaluation.measurement import Measurement, Piece

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 15.0
"""A long attack says something this often."""
BACKWARD_IN_FORWARDS = 2
"""A backward pass computes two products for every one of a forward pass."""


@dataclass
class ProgressLog:
    """Counts what has arrived and logs it."""

    measurements: Sequence[Measurement]
    num_clips: int
    work_done: int | float = 0
    """Forward passes; a backward pass counts as `BACKWARD_IN_FORWARDS` of them."""
    last_line: float = field(default_factory=time.monotonic)
    _started: float | None = None
    """The moment at which the first batch arrived: before that, workers only start."""
    _work_before: int | float = 0
    _seen: dict[int, int] = field(default_factory=dict)
    _robust: dict[int, int] = field(default_factory=dict)

    def add(self, piece: Piece) -> None:
        """Count a batch; say so if it completes an attack, or if nothing was said for a while."""
        number = piece.measurement
        robust = (row.label == row.clean_prediction == row.perturbed_prediction for row in piece.rows)
        self._seen[number] = self._seen.get(number, 0) + len(piece.rows)
        self._robust[number] = self._robust.get(number, 0) + sum(robust)
        self.work_done += len(piece.rows) * work(self.measurements[number])
        now = time.monotonic()
        if self._started is None:
            self._started, self._work_before = now, self.work_done
        if self._seen[number] == self.num_clips or now - self.last_line > SECONDS_BETWEEN_LINES:
            self.last_line = now
            logger.info(self.line(number, seconds=now - self._started))

    def line(self, number: int, *, seconds: float) -> str:
        """The state of one measurement in a line, and the time left for all."""
        measurement = self.measurements[number]
        seen = self._seen[number]
        return (
            f"{measurement.label} {measurement.threat}: {seen}/{self.num_clips} clips, "
            f"robust accuracy {self._robust[number] / seen:.3f}, {self.time_left(seconds)} left"
        )

    def time_left(self, seconds: float) -> str:
        """The time left at the speed since the first batch, counted in forward and backward passes."""
        total = self.num_clips * sum(map(work, self.measurements))
        done, left_to_do = self.work_done - self._work_before, total - self.work_done
        if left_to_do and not done:
            return "unknown time"
        left = round(seconds * left_to_do / max(done, 1))
        return f"{left // 60} min {left % 60:02d} s" if left >= 60 else f"{left} s"


def work(measurement: Measurement) -> int | float:
    """The cost of a measurement per clip, in forward passes."""
    return measurement.cost.forward + BACKWARD_IN_FORWARDS * measurement.cost.backward
