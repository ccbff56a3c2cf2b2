"""The unit that attacks and objectives state their cost in: passes through the model per clip."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Passes:
    """Runs of the encoders over a clip; all its segments count as one pass, a sample of them as that fraction of one.

    It is an upper limit where an attack leaves out clips that are fooled already.
    """

    forward: int | float = 0
    """Forward passes."""
    backward: int | float = 0
    """Backward passes, to the inputs or to the weights."""

    def __add__(self, other: Passes) -> Passes:
        return Passes(self.forward + other.forward, self.backward + other.backward)

    def __mul__(self, times: int | float) -> Passes:
        return Passes(self.forward * times, self.backward * times)

    def __str__(self) -> str:
        return f"{self.forward:g} F + {self.backward:g} B"
