"""How often attacks succeed, on the model they were made on and on others, with paired intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from evaluation.intervals import Interval, Resampling, exact_interval, percentiles

NUM_DRAWS = 2000


@dataclass(frozen=True)
class Successes:
    """What became of every clip on every model, for each seed of the models."""

    is_right: Bool[np.ndarray, "seeds victims clips"]
    """Whether a victim gets the clean clip right."""
    is_wrong: Mapping[str, Bool[np.ndarray, "seeds surrogates victims clips"]]
    """Per attack: whether a victim gets the clip wrong that was made on a surrogate. The first victims are the
    surrogates, in order; those after them were only attacked."""


@dataclass(frozen=True)
class Measured:
    """A success rate, and its difference to the baseline's over the same clips and models."""

    rate: float
    interval: Interval
    difference: float
    difference_interval: Interval


def white_box(successes: Successes, baseline: str) -> dict[str, Measured]:
    """Success on the surrogate itself, the mean over models and seeds."""
    num_models = next(iter(successes.is_wrong.values())).shape[1]
    return measured(successes, baseline, [(number, number) for number in range(num_models)])


def transfer(successes: Successes, baseline: str) -> dict[str, Measured]:
    """Success on the other models, the mean over ordered pairs of different ones and over seeds."""
    num_models = next(iter(successes.is_wrong.values())).shape[1]
    pairs = [(one, other) for one in range(num_models) for other in range(num_models) if one != other]
    return measured(successes, baseline, pairs)


def on_victim(successes: Successes, baseline: str, victim: int) -> dict[str, Measured]:
    """Success on one victim, the mean over the surrogates and seeds."""
    num_models = next(iter(successes.is_wrong.values())).shape[1]
    return measured(successes, baseline, [(surrogate, victim) for surrogate in range(num_models)])


def shares(outcomes: Mapping[str, Bool[np.ndarray, "seeds clips"]], baseline: str) -> dict[str, Measured]:
    """The share of clips for which each outcome is true, the mean over seeds, and its difference to the baseline's."""
    num_seeds, num_clips = outcomes[baseline].shape
    everything = np.ones((num_seeds, 1, num_clips), bool)
    return white_box(Successes(everything, {name: each[:, None, None] for name, each in outcomes.items()}), baseline)


def measured(successes: Successes, baseline: str, pairs: list[tuple[int, int]]) -> dict[str, Measured]:
    """Success over (surrogate, victim) pairs among the clips that the victim gets right when clean.

    Intervals come from drawing clips and seeds again, the same draws for every attack: differences are paired. Where an
    attack and the baseline agree on every clip, so does every draw, which would claim certainty: there the exact
    binomial bound on how often they may differ is given, as in `Resampling.difference`.
    """
    num_seeds, _, num_clips = successes.is_right.shape
    clips = Resampling.draw(num_clips, num_draws=NUM_DRAWS, seed=0).weights
    seeds = Resampling.draw(num_seeds, num_draws=NUM_DRAWS, seed=1).weights / num_seeds
    everything = np.ones((1, num_clips)), np.full((1, num_seeds), 1.0 / num_seeds)
    points, draws = {}, {}
    for name, is_wrong in successes.is_wrong.items():
        points[name] = float(_rates(successes.is_right, is_wrong, pairs, *everything)[0])
        draws[name] = _rates(successes.is_right, is_wrong, pairs, clips, seeds)
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
        for name in successes.is_wrong
    }


def _rates(
    is_right: Bool[np.ndarray, "seeds victims clips"],
    is_wrong: Bool[np.ndarray, "seeds surrogates victims clips"],
    pairs: list[tuple[int, int]],
    clip_weights: Float[np.ndarray, "draws clips"],
    seed_weights: Float[np.ndarray, "draws seeds"],
) -> NDArray[np.float64]:
    """The mean success rate of each draw; a victim that gets no clip right in a draw counts as not fooled."""
    rates = np.zeros((len(clip_weights), len(is_right)))
    for seed in range(len(is_right)):
        for surrogate, victim in pairs:
            right = is_right[seed, victim]
            hits = clip_weights @ (right & is_wrong[seed, surrogate, victim])
            rates[:, seed] += hits / np.maximum(clip_weights @ right, 1.0) / len(pairs)
    result: NDArray[np.float64] = (rates * seed_weights).sum(1)
    return result
