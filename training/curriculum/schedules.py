"""Values that change with the progress of training; one kind asks how robust the model has become."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveInt, model_validator

from preprocessing.settings import Settings
from training.curriculum.monitoring import ROUNDING, epochs_without_gain


class Schedule(Settings):
    """A value that depends on the progress of training."""

    name: str

    @abstractmethod
    def at(self, progress: float) -> float:
        """The value at `progress` in [0, 1]."""

    def for_next_epoch(self, accuracies: Sequence[float]) -> Schedule:
        """The schedule of the next epoch: `accuracies` are the robust ones on validation after each epoch before it."""
        return self

    def greatest_at(self, progress: float) -> float:
        """The greatest value that may hold at `progress` in [0, 1]."""
        return self.at(progress)

    @property
    @abstractmethod
    def values(self) -> tuple[float, ...]:
        """The values between which the schedule moves."""


class Constant(Schedule):
    """The same value throughout; a plain number in YAML means this."""

    name: Literal["constant"] = "constant"
    value: float
    """The value."""

    def at(self, progress: float) -> float:
        """Give the value, whatever the progress."""
        return self.value

    @property
    def values(self) -> tuple[float, ...]:
        """The one value."""
        return (self.value,)


class _Ramp(Schedule):
    """Base of schedules that move from one value to another and stay there."""

    start: float
    """Value at progress 0."""
    end: float
    """Value from progress `until` on."""
    until: float = Field(default=1.0, gt=0, le=1)
    """Progress at which `end` is reached."""

    @property
    def values(self) -> tuple[float, ...]:
        """Both ends."""
        return (self.start, self.end)


class Linear(_Ramp):
    """A straight line from `start` to `end`."""

    name: Literal["linear"] = "linear"

    def at(self, progress: float) -> float:
        """Interpolate."""
        return self.start + (self.end - self.start) * min(progress / self.until, 1.0)


class Cosine(_Ramp):
    """Half a cosine wave from `start` to `end`: slow, fast, slow."""

    name: Literal["cosine"] = "cosine"

    def at(self, progress: float) -> float:
        """Interpolate."""
        part = min(progress / self.until, 1.0)
        return self.start + (self.end - self.start) * (1.0 - math.cos(math.pi * part)) / 2.0


class Step(Schedule):
    """Jumps: `levels[i]` holds from `starts[i]` on; before the first start the first level holds."""

    name: Literal["step"] = "step"
    levels: tuple[float, ...] = Field(min_length=1)
    """The values in order."""
    starts: tuple[float, ...] = Field(min_length=1)
    """The progress at which each level begins, ascending in [0, 1]."""

    @model_validator(mode="after")
    def _levels_match_starts(self) -> Step:
        if len(self.levels) != len(self.starts):
            raise ValueError(f"starts must be {len(self.levels)} numbers, one per level, got {list(self.starts)}")
        _check_ascending("starts", self.starts)
        return self

    def at(self, progress: float) -> float:
        """Give the last level that has begun."""
        begun = sum(start <= progress for start in self.starts)
        return self.levels[max(begun - 1, 0)]

    @property
    def values(self) -> tuple[float, ...]:
        """All levels."""
        return self.levels


class Adaptive(Schedule):
    """Goes on to the next level when the model is ready for it, as its robust accuracy on validation says.

    A level ends when the accuracy after its last epoch is at least `target`, or when it has not risen by more than
    `min_gain` for `patience` epochs of that level; the last level stays. The level of an epoch follows from the epochs
    before it alone, so it is the same for any number of workers and after any interruption. Each level is decided by
    its own epochs, of which the first counts as a gain: it lasts one epoch at least, and without a target one more
    than `patience`. An epoch after which training was rolled back counts like any other.
    """

    name: Literal["adaptive"] = "adaptive"
    levels: tuple[float, ...] = Field(min_length=2)
    """The values in order."""
    patience: PositiveInt = 2
    """Epochs of a level without a gain after which the next level begins."""
    min_gain: NonNegativeFloat = 0.0
    """A gain is more than so much above the last gain's robust accuracy."""
    target: float | None = Field(default=None, gt=0, le=1)
    """Robust accuracy at which the next level begins at once; unset = only when there is no gain."""

    def at(self, progress: float) -> float:
        """Give the first level, at which training begins; `for_next_epoch` has those of later ones."""
        return self.levels[0]

    def for_next_epoch(self, accuracies: Sequence[float]) -> Constant:
        """The level of the next epoch, constant."""
        level, begun = 0, 0
        for epoch in range(1, len(accuracies) + 1):
            if level < len(self.levels) - 1 and self._is_over(accuracies[begun:epoch]):
                level, begun = level + 1, epoch
        return Constant(value=self.levels[level])

    def greatest_at(self, progress: float) -> float:
        """The greatest level: any may hold at any time."""
        return max(self.levels)

    @property
    def values(self) -> tuple[float, ...]:
        """All levels."""
        return self.levels

    def _is_over(self, accuracies: Sequence[float]) -> bool:
        """True if a level ends after epochs of these accuracies."""
        if self.target is not None and accuracies[-1] >= self.target - ROUNDING:
            return True
        return epochs_without_gain(accuracies, min_gain=self.min_gain) >= self.patience


class Piecewise(Schedule):
    """Straight lines between `points`; before the first and after the last point the value stays."""

    name: Literal["piecewise"] = "piecewise"
    points: tuple[tuple[float, float], ...] = Field(min_length=1)
    """Pairs of progress and value, ascending in progress within [0, 1], such as `[[0.0, 1], [0.5, 5], [1.0, 3]]`."""

    @model_validator(mode="after")
    def _points_ascend(self) -> Piecewise:
        _check_ascending("points: their progress", [progress for progress, _ in self.points])
        return self

    def at(self, progress: float) -> float:
        """Interpolate between the points on both sides."""
        if progress <= self.points[0][0]:
            return self.points[0][1]
        for (start, value), (end, next_value) in pairwise(self.points):
            if progress <= end:
                return value + (next_value - value) * (progress - start) / (end - start)
        return self.points[-1][1]

    @property
    def values(self) -> tuple[float, ...]:
        """The values at all points."""
        return tuple(value for _, value in self.points)


def _check_ascending(what: str, found: Sequence[float]) -> None:
    rises = all(earlier < later for earlier, later in pairwise(found))
    if not rises or found[0] < 0 or found[-1] > 1:
        raise ValueError(f"{what} must be ascending numbers in [0, 1], got {list(found)}")


def _plain_number(value: Any) -> Any:
    is_plain = isinstance(value, int | float | str) and not isinstance(value, bool)
    return {"name": "constant", "value": value} if is_plain else value


AnySchedule = Annotated[
    Annotated[Constant | Linear | Cosine | Step | Piecewise | Adaptive, Field(discriminator="name")],
    BeforeValidator(_plain_number),
]
"""Any schedule, chosen by its `name`; a plain number is a constant."""
