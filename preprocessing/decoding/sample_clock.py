"""The clock of a sound: when its samples play, estimated from the times that are stamped on its blocks.

Samples are counted, so how they follow each other is known exactly. Stamps say when they play, and err: containers
round them (Matroska to 1 ms), and Android stamps blocks of 21.33 ms every 20 ms. A stamp minus the length of the
samples before it is an *offset*. By their offsets are told apart:

* **Jitter** comes back: the offsets of any half second scatter around one value. It is averaged away.
* **Drift** goes on: the offsets follow a line, because samples were taken faster or slower than their rate says. It is
  followed up to `MAX_DRIFT`; beyond it there is no clock to follow.
* A **jump** stays: from one block on all offsets are others, because samples are missing before it or come twice. A new
  run begins there.
* **Wrong** are one or two stamps that differ from those on both sides of them, which agree: they are not listened to.

So the blocks are cut into the runs that explain their offsets best: each run is a line, found by least squares, and
every cut must be worth `CUT_PENALTY`. Numpy only: this runs in the decoder process.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Stamps in whole milliseconds lie up to 0.5 ms off, the first one too. A run that fits its first stamp to within twice
# that begins there and is not stretched, so that its samples stay those of the resampler.
TOLERANCE_SECONDS = 0.001
# Spread of stamps that are rounded to milliseconds: sqrt(1 / 12) ms, and more than is lost by asking for a little more.
MIN_JITTER_SECONDS = 0.0005
# Time in which jitter comes back: blocks of 21.33 ms that are stamped every 20 ms agree with their stamps every 0.32 s.
JITTER_PERIOD_SECONDS = 0.5
# Parts of that length that set the measure of jitter are the quieter ones: in others the clock may jump.
QUIET_SHARE = 0.25
# Crystals differ by 0.01 %, the clocks of a phone's camera and microphone by up to 0.3 %.
USUAL_DRIFT = 0.003
# Sixteen cents of pitch. Rates that are declared wrongly differ by more: 48 and 44.1 kHz by 9 %, film and PAL by 4 %.
MAX_DRIFT = 0.01
# Variances of the jitter by which a cut must lower the sum of squared errors. The best of 500 cuts through pure jitter
# lowers it by 5 to 20; a jump of three spreads that lasts 0.2 s, or of one that lasts 1.5 s, by 60.
CUT_PENALTY = 60.0
# Spreads by which a wrong stamp lies beside the median of the five around it; even jitter reaches 1.7 of them.
MAX_DEVIATION = 6.0


@dataclass(frozen=True)
class Run:
    """Blocks that play one after the other, without a jump."""

    first: int
    """Number of its first block."""
    stop: int
    """Number of the block behind its last."""
    start_seconds: float
    """The moment at which its first sample plays."""
    drift: float
    """Share by which its samples last longer than their rate says: 0.003 if 1 s of them takes 1.003 s."""


def follow_clock(stamps: NDArray[np.float64], lengths: NDArray[np.float64]) -> list[Run]:
    """Cut the blocks of a sound into runs, all of them in order; there is at least one.

    Args:
        stamps: time of each block's first sample in seconds, NaN if it has none: `[blocks]`. One at least has a time.
        lengths: length of each block in seconds, by its number of samples and its rate: `[blocks]`.
    """
    counted = np.cumsum(lengths) - lengths
    stamped = np.flatnonzero(np.isfinite(stamps))
    jitter = jitter_of(counted[stamped], stamps[stamped] - counted[stamped])
    stamped = stamped[~is_wrong(stamps[stamped] - counted[stamped], jitter)]
    lines = Lines(counted[stamped], stamps[stamped] - counted[stamped], jitter)
    cuts = [0, *find_cuts(lines), len(stamped)]
    firsts = [0, *(int(stamped[cut]) for cut in cuts[1:-1]), len(stamps)]
    spans = zip(firsts[:-1], firsts[1:], cuts[:-1], cuts[1:], strict=True)
    return [
        Run(first, stop, *place(stamps, counted, first=first, heard=stamped[begin:end], line=lines.fit(begin, end)))
        for first, stop, begin, end in spans
    ]


def place(
    stamps: NDArray[np.float64],
    counted: NDArray[np.float64],
    *,
    first: int,
    heard: NDArray[np.intp],
    line: tuple[float, float],
) -> tuple[float, float]:
    """Start and drift of a run that begins with block `first`, as its first stamp has them or as the line through all.

    Args:
        stamps: time of each block: `[blocks]`.
        counted: length of the samples before each block: `[blocks]`.
        first: number of the run's first block.
        heard: numbers of its blocks whose stamps are listened to: `[stamps]`.
        line: offset at no samples, and its slope.
    """
    level, slope = line
    anchor = heard[0]
    misfit = level + slope * counted[heard[[0, -1]]] - (stamps[anchor] - counted[anchor])
    if np.abs(misfit).max() <= TOLERANCE_SECONDS:
        return float(stamps[anchor] - (counted[anchor] - counted[first])), 0.0
    return float(level + (1 + slope) * counted[first]), slope


def jitter_of(places: NDArray[np.float64], offsets: NDArray[np.float64]) -> float:
    """Spread of the offsets within half a second, in seconds, where they spread little: without jumps."""
    length = min(JITTER_PERIOD_SECONDS, float(places[-1] - places[0]) / 4)
    begins = np.searchsorted(places, np.arange(places[0], places[-1], length)) if length else np.zeros(1, np.intp)
    spreads = [float(part.std()) for part in np.split(offsets, begins[1:]) if len(part)]
    return max(sorted(spreads)[int(QUIET_SHARE * len(spreads))], MIN_JITTER_SECONDS)


def is_wrong(offsets: NDArray[np.float64], jitter: float) -> NDArray[np.bool_]:
    """True for stamps that differ from those around them on both sides, no more than two at a time: `[stamps]`."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(offsets, 2, mode="edge"), 5)
    # Sorted: `np.median` would load a module, which the decoder process cannot.
    return np.abs(offsets - np.sort(around, axis=1)[:, 2]) > MAX_DEVIATION * jitter


class Lines:
    """Lines through any part of the offsets, by least squares in sums that are made once.

    A slope of `USUAL_DRIFT` costs as much as an error of one jitter, so that a few blocks do not make up a drift (ridge
    regression: Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634).
    """

    def __init__(self, places: NDArray[np.float64], offsets: NDArray[np.float64], jitter: float) -> None:
        self.num_offsets = len(offsets)
        self._jitter = jitter
        self._ridge = (jitter / USUAL_DRIFT) ** 2
        self._middle = float(offsets.mean())
        x, y = places, offsets - self._middle  # small numbers: their squares are subtracted from each other
        terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
        self._sums = np.concatenate([np.zeros((1, 6)), np.cumsum(terms, axis=0)])

    def fit(self, begin: int, end: int) -> tuple[float, float]:
        """Value at place 0, and slope, of the line through the offsets `begin` to `end - 1`."""
        n, x, y, xx, xy, _ = self._sums[end] - self._sums[begin]
        slope = (xy - x * y / n) / (xx - x * x / n + self._ridge)
        return self._middle + float((y - slope * x) / n), float(slope)

    def cost(self, begin: int | NDArray[np.intp], end: int | NDArray[np.intp]) -> NDArray[np.float64]:
        """Squared errors of the line through the offsets `begin` to `end - 1`, in variances of the jitter."""
        n, x, y, xx, xy, yy = (self._sums[end] - self._sums[begin]).T
        covariance = xy - x * y / n
        return np.asarray((yy - y * y / n - covariance**2 / (xx - x * x / n + self._ridge)) / self._jitter**2)

    def best_cut(self, begin: int, end: int) -> int | None:
        """The place where the offsets `begin` to `end - 1` are best cut in two; None if that is not worth it."""
        cuts = np.arange(begin + 1, end)
        if not len(cuts):
            return None
        costs = self.cost(begin, cuts) + self.cost(cuts, end)
        best = int(np.argmin(costs))
        return int(cuts[best]) if self.cost(begin, end) - costs[best] > CUT_PENALTY else None


def find_cuts(lines: Lines) -> list[int]:
    """The offsets before which a new run begins: parts are cut in two as long as that is worth it.

    The first cuts are made while others are missing, so each is looked for once more between its neighbours
    (binary segmentation: Scott and Knott 1974, doi:10.2307/2529204).
    """
    cuts: list[int] = []
    parts = [(0, lines.num_offsets)]
    while parts:
        begin, end = parts.pop()
        if (cut := lines.best_cut(begin, end)) is not None:
            cuts.append(cut)
            parts += [(begin, cut), (cut, end)]
    bounds = [0, *sorted(cuts), lines.num_offsets]
    better: list[int] = []
    for end in bounds[2:]:
        cut = lines.best_cut(better[-1] if better else 0, end)
        if cut is not None:
            better.append(cut)
    return better
