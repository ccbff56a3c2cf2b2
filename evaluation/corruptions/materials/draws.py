"""Randomness of one clip under one corruption: the same in any batch, on any worker, and for every model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from preprocessing.seeds import seed_of

GUST_PERIODS_SECONDS = (1.5, 9.0)
"""Shortest and longest wave of a rise and fall."""
GUST_DEPTH = 0.4
"""Strengths lie within this of 1."""
NUM_WAVES = 3


@dataclass(frozen=True)
class Gusts:
    """The strength of a corruption over the time of a clip, about 1; picture and sound both follow it."""

    periods_seconds: Float[np.ndarray, " waves"]
    phases: Float[np.ndarray, " waves"]

    def at(self, seconds: Float[np.ndarray, " times"]) -> Float[np.ndarray, " times"]:
        """The strength at these times, in [1 - `GUST_DEPTH`, 1 + `GUST_DEPTH`]."""
        angles = 2.0 * np.pi * seconds[:, None] / self.periods_seconds + self.phases
        return np.asarray(1.0 + GUST_DEPTH * np.sin(angles).mean(1))


@dataclass(frozen=True)
class Draws:
    """The random streams of one clip. The severity is no part of them: it turns one process up, it draws no other."""

    seed: int
    corruption: str
    key: str

    def random(self, purpose: str) -> np.random.Generator:
        """A stream for one purpose, from its start."""
        return np.random.default_rng(seed_of(self.seed, "corruption", self.corruption, purpose, self.key))

    def gusts(self) -> Gusts:
        """The clip's rise and fall of strength."""
        random = self.random("gusts")
        return Gusts(
            periods_seconds=random.uniform(*GUST_PERIODS_SECONDS, NUM_WAVES),
            phases=random.uniform(0.0, 2.0 * np.pi, NUM_WAVES),
        )
