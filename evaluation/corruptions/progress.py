"""Progress of a measurement under corruptions: one line per corruption, and the time left for all of them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from evaluation.corruptions.config import Perturbed
from evaluation.corruptions.measurement import Condition, CorruptedPiece
from preprocessing.reporting.progress import Progress

logger = logging.getLogger(__name__)


class CorruptionsProgress:
    """A count of the corrupted clips, logged corruption by corruption; a clip counts once per severity."""

    def __init__(self, conditions: Sequence[Condition], num_clips: int, *, perturbed: Perturbed) -> None:
        self._conditions = conditions
        self._perturbed = perturbed
        self._num_per_corruption = num_clips * len({each.severity for each in conditions})
        self._progress = Progress(num_clips * len(conditions))
        self._seen: Counter[str] = Counter()
        self._right: Counter[str] = Counter()

    def add(self, piece: CorruptedPiece) -> None:
        """Count a batch; say so if it completes a corruption, or if nothing was said for a while."""
        name, num_rows = self._conditions[piece.condition].corruption, piece.predictions.table.num_rows
        if self._seen:
            self._progress.add(num_rows)
        else:  # before the first batch, workers only start
            self._progress.skip(num_rows)
            self._progress.restart()
        self._seen[name] += num_rows
        self._right[name] += int(piece.predictions.is_right(self._perturbed).sum())
        if self._progress.is_due(always=self._seen[name] == self._num_per_corruption):
            logger.info(
                "%s, perturbed=%s: %d/%d corrupted clips, accuracy %.3f, %s",
                *(name, self._perturbed, self._seen[name], self._num_per_corruption),
                *(self._right[name] / self._seen[name], self._progress.time_left()),
            )
