"""Shares of clips with paired intervals over clips and seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from evaluation.intervals import Interval, Resampling, exact_interval, percentiles

NUM_DRAWS = 2000


@dataclass(frozen=True)
class Measured:
    """A share, and its difference to the baseline's over the same clips and seeds."""

    rate: float
    interval: Interval
    difference: float
    difference_interval: Interval


def shares(outcomes: Mapping[str, Bool[np.ndarray, "seeds clips"]], baseline: str) -> dict[str, Measured]:
    """The share of clips for which each outcome is true, the mean over seeds, and its difference to the baseline's.

    Intervals come from drawing clips and seeds again, the same draws for every outcome: differences are paired. Where
    an outcome and the baseline agree on every clip, so does every draw, which would claim certainty: there the exact
    binomial bound on how often they may differ is given, as in `Resampling.difference`.
    """
    num_seeds, num_clips = outcomes[baseline].shape
    clips = Resampling.draw(num_clips, num_draws=NUM_DRAWS, seed=0).weights / num_clips
    seeds = Resampling.draw(num_seeds, num_draws=NUM_DRAWS, seed=1).weights / num_seeds
    points = {name: float(each.mean()) for name, each in outcomes.items()}
    draws = {name: ((clips @ each.T) * seeds).sum(1) for name, each in outcomes.items()}
    _, most = exact_interval(0, num_clips)
    return {
        name: Measured(
            rate=points[name],
            interval=percentiles(draws[name]),
            difference=points[name] - points[baseline],
            difference_interval=(-most, most)
            if name != baseline and (draws[name] == draws[baseline]).all()
            else percentiles(draws[name] - draws[baseline]),
        )
        for name in outcomes
    }
