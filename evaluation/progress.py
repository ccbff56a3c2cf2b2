"""Progress of an evaluation: one line per attack, and the time left for all of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from evaluation.measurement import Measurement, Piece
from preprocessing.reporting.progress import Progress

logger = logging.getLogger(__name__)

BACKWARD_IN_FORWARDS = 2
"""A backward pass computes two products for every one of a forward pass."""


class EvaluationProgress:
    """A count of the clips that have been attacked, logged attack by attack.

    Work is counted in forward passes; a backward pass is `BACKWARD_IN_FORWARDS` of them.
    """

    def __init__(self, measurements: Sequence[Measurement], num_clips: int) -> None:
        self._measurements = measurements
        self._num_clips = num_clips
        self._progress = Progress(num_clips * sum(map(work, measurements)))
        self._seen: dict[int, int] = {}
        self._robust: dict[int, int] = {}

    def add(self, piece: Piece) -> None:
        """Count a batch; say so if it completes an attack, or if nothing was said for a while."""
        number = piece.measurement
        passes = len(piece.rows) * work(self._measurements[number])
        if self._seen:
            self._progress.add(passes)
        else:  # before the first batch, workers only start
            self._progress.skip(passes)
            self._progress.restart()
        robust = (row.label == row.clean_prediction == row.perturbed_prediction for row in piece.rows)
        self._seen[number] = self._seen.get(number, 0) + len(piece.rows)
        self._robust[number] = self._robust.get(number, 0) + sum(robust)
        if self._progress.is_due(always=self._seen[number] == self._num_clips):
            logger.info(self._line(number))

    def _line(self, number: int) -> str:
        """The state of one measurement in a line, and the time left for all."""
        measurement, seen = self._measurements[number], self._seen[number]
        return (
            f"{measurement.label} {measurement.threat}: {seen}/{self._num_clips} clips, "
            f"robust accuracy {self._robust[number] / seen:.3f}, {self._progress.time_left()}"
        )


def work(measurement: Measurement) -> int | float:
    """The cost of a measurement per clip, in forward passes."""
    return measurement.cost.forward + BACKWARD_IN_FORWARDS * measurement.cost.backward
