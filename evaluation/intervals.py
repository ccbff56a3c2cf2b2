"""The uncertainty of a number: paired bootstrap intervals over clips, and exact tests for small counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.stats import binomtest

CONFIDENCE = 0.95
"""Share of the intervals that should cover the truth."""

Interval = tuple[float, float]
"""Lower and upper end."""


@dataclass(frozen=True)
class Resampling:
    """One set of bootstrap draws of the clips, used for every number: so differences between numbers are paired.

    `weights[draw, clip]` says how often a clip was drawn; each row sums to the number of clips.
    """

    weights: Float[np.ndarray, "draws clips"]

    @classmethod
    def draw(cls, num_clips: int, *, num_draws: int, seed: int) -> Resampling:
        """Draw `num_draws` samples of `num_clips` clips with replacement.

        Raises:
            ValueError: if there is no clip.
        """
        if num_clips < 1:
            raise ValueError("no clips: an interval needs at least one")
        random = np.random.default_rng(seed)
        counts = random.multinomial(num_clips, np.full(num_clips, 1.0 / num_clips), size=num_draws)
        return cls(counts.astype(np.float64))

    def share(self, outcomes: Bool[np.ndarray, " clips"]) -> Interval:
        """Interval of the share of clips for which `outcomes` is true.

        Where all clips agree, every bootstrap draw does too and would claim certainty; there the exact binomial
        interval (Clopper and Pearson 1934) is given.
        """
        if outcomes.all() or not outcomes.any():
            return exact_interval(int(outcomes.sum()), len(outcomes))
        return percentiles(self.weights @ outcomes / len(outcomes))

    def share_among(self, outcomes: Bool[np.ndarray, " clips"], chosen: Bool[np.ndarray, " clips"]) -> Interval | None:
        """Interval of the share among the chosen clips; None if none is chosen."""
        hits = outcomes & chosen
        if not chosen.any():
            return None
        if not hits.any() or hits.sum() == chosen.sum():
            return exact_interval(int(hits.sum()), int(chosen.sum()))
        totals = self.weights @ chosen
        drawn = totals > 0
        return percentiles((self.weights @ hits)[drawn] / totals[drawn])

    def difference(self, first: Bool[np.ndarray, " clips"], second: Bool[np.ndarray, " clips"]) -> Interval:
        """Interval of share(first) - share(second) over the same clips.

        Where the two agree on every clip, or one alone is right on every clip, bootstrap draws would claim certainty:
        there the exact binomial bound on how often they may differ is given.
        """
        if (certain := _certain_difference(first, second)) is not None:
            return certain
        paired = first.astype(np.float64) - second.astype(np.float64)
        return percentiles(self.weights @ paired / len(paired))

    def difference_among(
        self,
        first: Bool[np.ndarray, " clips"],
        second: Bool[np.ndarray, " clips"],
        chosen: Bool[np.ndarray, " clips"],
    ) -> Interval | None:
        """Interval of the difference of two shares among the chosen clips; None if none is chosen."""
        if not chosen.any():
            return None
        if (certain := _certain_difference(first[chosen], second[chosen])) is not None:
            return certain
        totals = self.weights @ chosen
        drawn = totals > 0
        paired = (first.astype(np.float64) - second.astype(np.float64)) * chosen
        return percentiles((self.weights @ paired)[drawn] / totals[drawn])


def _certain_difference(first: Bool[np.ndarray, " clips"], second: Bool[np.ndarray, " clips"]) -> Interval | None:
    """The interval of a difference of which every draw is the same; None if draws differ."""
    if (first == second).all():
        _, most = exact_interval(0, len(first))
        return (-most, most)
    if (first != second).all() and (first.all() or second.all()):
        least, _ = exact_interval(len(first), len(first))
        return (least, 1.0) if first.all() else (-1.0, -least)
    return None


def exact_interval(hits: int, trials: int) -> Interval:
    """Clopper-Pearson interval of a binomial share."""
    interval = binomtest(hits, trials).proportion_ci(CONFIDENCE, method="exact")
    return (float(interval.low), float(interval.high))


def chance_of_excess(more: Bool[np.ndarray, " clips"], less: Bool[np.ndarray, " clips"]) -> float:
    """Exact one-sided sign test: how likely `more` beats `less` on so many clips if both were equally good.

    Only clips on which the two differ count (McNemar 1947).
    """
    wins = int((more & ~less).sum())
    losses = int((less & ~more).sum())
    if not wins + losses:
        return 1.0
    return float(binomtest(wins, wins + losses, alternative="greater").pvalue)


def mcnemar(wins: int, losses: int) -> float:
    """Exact two-sided test whether two models are right equally often on the same clips (McNemar 1947).

    Only clips on which the two differ count: under the hypothesis each is a win with probability 1/2. Returns the
    probability of a split at least as uneven; 1.0 where they never differ.

    Args:
        wins: clips that the one alone has right.
        losses: clips that the other alone has right.
    """
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value corrected for how many there are: the probability of any false alarm stays at the level.

    The step-down procedure of Holm 1979 ("A simple sequentially rejective multiple test procedure", Scandinavian
    Journal of Statistics 6, 65-70): the k-th smallest of m is multiplied by m - k + 1 and is at least the one before,
    at most 1. It holds however the tests depend on each other, as those of one model under several attacks do.
    """
    corrected = [1.0] * len(p_values)
    largest = 0.0
    for place, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = min(1.0, max(largest, (len(p_values) - place) * p_values[number]))
        corrected[number] = largest
    return corrected


def percentiles(values: NDArray[np.float64]) -> Interval:
    """The interval that holds the middle 95 % of bootstrap draws."""
    tail = 100.0 * (1.0 - CONFIDENCE) / 2.0
    low, high = np.percentile(values, [tail, 100.0 - tail])
    return (float(low), float(high))
