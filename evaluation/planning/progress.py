"""Progress of an evaluation: one line per attack, and the time left for all of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from evaluation.planning.plan import Measurement, work
from evaluation.stored.pieces import Piece
from preprocessing.reporting.progress import Progress

logger = logging.getLogger(__name__)

LEAST_TIMED_SHARE = 0.02
"""Of all passes, before the time left is told: an attack of one step takes most of its time for other things."""


class EvaluationProgress:
    """A count of the clips that have been attacked, logged attack by attack.

    Work is counted in forward passes, see `plan.work`.
    """

    def __init__(self, measurements: Sequence[Measurement], num_clips: int) -> None:
        self._measurements = measurements
        self._num_clips = num_clips
        self._work = [work(measurement.cost) for measurement in measurements]
        self._progress = Progress(num_clips * sum(self._work))
        self._seen = dict.fromkeys(range(len(measurements)), 0)
        self._robust = dict.fromkeys(range(len(measurements)), 0)
        self._has_begun = False

    def keep(self, piece: Piece) -> None:
        """Count a batch that an earlier call has measured."""
        self._progress.skip(self._count(piece))

    def add(self, piece: Piece) -> None:
        """Count a batch; say so if it completes an attack, or if nothing was said for a while."""
        passes = self._count(piece)
        if self._has_begun:
            self._progress.add(passes)
        else:  # before the first batch, workers only start
            self._has_begun = True
            self._progress.skip(passes)
            self._progress.restart()
        number = piece.measurement
        if self._progress.is_due(always=self._seen[number] == self._num_clips):
            logger.info(self._line(number))

    def _count(self, piece: Piece) -> int | float:
        """Enter the clips of a piece; the work that was in it, at most."""
        self._seen[piece.measurement] += len(piece)
        self._robust[piece.measurement] += int(piece.certificates.is_robust.sum())
        return len(piece) * self._work[piece.measurement]

    def _line(self, number: int) -> str:
        """The state of one measurement in a line, and the time left for all."""
        measurement, seen = self._measurements[number], self._seen[number]
        left = self._progress.time_left(least_share=LEAST_TIMED_SHARE)
        return (
            f"{measurement.label} {measurement.threat}: {seen}/{self._num_clips} clips, "
            f"robust accuracy {self._robust[number] / seen:.3f}, {left}"
        )
