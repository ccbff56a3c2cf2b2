"""Success rates over clips, surrogates and seeds, with intervals from drawing surrogates and clips again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from evaluation.intervals import Interval, Resampling, percentiles
from studies.transfer.outcomes import Found

NUM_DRAWS = 2000


@dataclass(frozen=True)
class Counts:
    """Per surrogate (of every seed) and clip: the victims that were right, and those of them that were fooled."""

    hits: Float[np.ndarray, "surrogates clips"]
    trials: Float[np.ndarray, "surrogates clips"]


@dataclass(frozen=True)
class Rate:
    """A success rate."""

    rate: float
    interval: Interval


KINDS = ("white-box", "transfer", "other moments")


def counts(found: Sequence[Found], kind: str, *, is_ensemble: bool) -> Counts:
    """What one attack did, in all seeds.

    Args:
        found: the outcomes of each seed.
        kind: one of `KINDS`.
        is_ensemble: whether surrogate i is all models but victim i, its only victim; else victims are all but i.
    """
    if kind == "white-box":
        hits, trials = [each.white_box for each in found], [each.own_right for each in found]
        return Counts(np.concatenate(hits).astype(float), np.concatenate(trials).astype(float))
    pairs = np.eye(len(found[0].is_right), dtype=bool)
    pairs = pairs if is_ensemble else ~pairs
    hits, trials = [], []
    for each in found:
        is_wrong = each.same_moments if kind == "transfer" else each.other_moments
        right = each.is_right[None] & pairs[..., None]
        trials.append(right.sum(1))
        hits.append((right & is_wrong).sum(1))
    return Counts(np.concatenate(hits).astype(float), np.concatenate(trials).astype(float))


@dataclass(frozen=True)
class Draws:
    """The rates of every attack in the same draws of surrogates and clips: so differences are paired."""

    rates: Mapping[str, float]
    drawn: Mapping[str, NDArray[np.float64]]

    @classmethod
    def of(cls, found: Mapping[str, Counts]) -> Draws:
        """Draw as many surrogates and as many clips as there are, with replacement, `NUM_DRAWS` times."""
        shape = next(iter(found.values())).hits.shape
        surrogates = Resampling.draw(shape[0], num_draws=NUM_DRAWS, seed=0).weights
        clips = Resampling.draw(shape[1], num_draws=NUM_DRAWS, seed=1).weights
        rates = {name: float(each.hits.sum() / max(1.0, each.trials.sum())) for name, each in found.items()}
        drawn = {
            name: _sums(each.hits, surrogates, clips) / np.maximum(1.0, _sums(each.trials, surrogates, clips))
            for name, each in found.items()
        }
        return cls(rates, drawn)

    def rate(self, name: str) -> Rate:
        """The share of the victims' right clips that are fooled."""
        return Rate(self.rates[name], percentiles(self.drawn[name]))

    def difference(self, name: str, other: str) -> Rate:
        """The rate of one minus the rate of another."""
        return Rate(self.rates[name] - self.rates[other], percentiles(self.drawn[name] - self.drawn[other]))


def _sums(
    values: NDArray[np.float64], surrogates: NDArray[np.float64], clips: NDArray[np.float64]
) -> NDArray[np.float64]:
    result: NDArray[np.float64] = ((surrogates @ values) * clips).sum(1)
    return result
