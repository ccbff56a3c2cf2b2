"""Progress of a measurement of transfer: one line per attack and surrogate, and the time left for all of them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from evaluation.transfer.measurement import TransferPiece
from evaluation.transfer.plan import Crafting
from preprocessing.reporting.progress import Progress

logger = logging.getLogger(__name__)


class TransferProgress:
    """A count of the clips that have been attacked, logged crafting by crafting; work is counted in passes."""

    def __init__(self, craftings: Sequence[Crafting], num_clips: int) -> None:
        self._craftings = craftings
        self._num_clips = num_clips
        self._work = [each.cost.forward + each.cost.backward for each in craftings]
        self._progress = Progress(num_clips * sum(self._work))
        self._seen: Counter[int] = Counter()
        self._counted: Counter[tuple[int, bool]] = Counter()
        self._fooled: Counter[tuple[int, bool]] = Counter()
        self._has_begun = False

    def keep(self, piece: TransferPiece) -> None:
        """Count a piece that an earlier call has measured."""
        self._progress.skip(self._count(piece))

    def add(self, piece: TransferPiece) -> None:
        """Count a piece; say so if it completes a crafting, or if nothing was said for a while."""
        passes = self._count(piece)
        if self._has_begun:
            self._progress.add(passes)
        else:  # before the first piece, workers only start
            self._has_begun = True
            self._progress.skip(passes)
            self._progress.restart()
        if self._progress.is_due(always=self._seen[piece.crafting] == self._num_clips):
            logger.info("%s", self._line(piece.crafting))

    def _count(self, piece: TransferPiece) -> int | float:
        """Enter the clips of a piece; the passes that were in it, at most."""
        number = piece.crafting
        surrogate = self._craftings[number].surrogate
        num_clips = int(piece.outcomes.table.num_rows) // len(surrogate.victims)
        self._seen[number] += num_clips
        victims = piece.outcomes.column("victim").tolist()
        found = zip(victims, piece.outcomes.counts.tolist(), piece.outcomes.is_fooled.tolist(), strict=True)
        for victim, counts, is_fooled in found:
            key = number, surrogate.is_white_box(victim)
            self._counted[key] += counts
            self._fooled[key] += is_fooled
        return num_clips * self._work[number]

    def _line(self, number: int) -> str:
        crafting = self._craftings[number]
        shares = [
            f"{what} {self._fooled[number, is_white_box] / self._counted[number, is_white_box]:.3f}"
            for what, is_white_box in (("white box", True), ("transfer", False))
            if self._counted[number, is_white_box]
        ]
        return ", ".join(
            [
                f"{crafting.measurement.label}: {self._seen[number]}/{self._num_clips} clips",
                *shares,
                self._progress.time_left(),
            ]
        )
