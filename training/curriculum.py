"""From easy to hard: schedules over training's progress, and segment masking."""

from __future__ import annotations

import math
from abc import abstractmethod
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Bool
from pydantic import BeforeValidator, Field, model_validator
from torch import Tensor

from preprocessing.schema import Settings
from training.attacks.noise import clip_generator
from training.batch import Batch


class Schedule(Settings):
    """A value that depends on the progress of training."""

    name: str

    @abstractmethod
    def at(self, progress: float) -> float:
        """The value at `progress` in [0, 1]."""

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
        share = min(progress / self.until, 1.0)
        return self.start + (self.end - self.start) * (1.0 - math.cos(math.pi * share)) / 2.0


class Step(Schedule):
    """Jumps: `levels[i]` holds from `starts[i]` on; before the first start the first level holds."""

    name: Literal["step"] = "step"
    levels: tuple[float, ...] = Field(min_length=1)
    """The values in order."""
    starts: tuple[float, ...] = Field(min_length=1)
    """The progress at which each level begins, ascending in [0, 1]."""

    @model_validator(mode="after")
    def _levels_match_starts(self) -> Step:
        rising = all(earlier < later for earlier, later in pairwise(self.starts))
        if len(self.levels) != len(self.starts) or not rising or self.starts[0] < 0 or self.starts[-1] > 1:
            raise ValueError(
                f"starts={self.starts} must be {len(self.levels)} ascending numbers in [0, 1], one per level"
            )
        return self

    def at(self, progress: float) -> float:
        """Give the last level that has begun."""
        begun = sum(start <= progress for start in self.starts)
        return self.levels[max(begun - 1, 0)]

    @property
    def values(self) -> tuple[float, ...]:
        """All levels."""
        return self.levels


def _plain_number(value: Any) -> Any:
    return {"name": "constant", "value": value} if isinstance(value, int | float | str) else value


AnySchedule = Annotated[
    Annotated[Constant | Linear | Cosine | Step, Field(discriminator="name")], BeforeValidator(_plain_number)
]
"""Any schedule, chosen by its `name`; a plain number is a constant."""


class Curriculum(Settings):
    """What grows while training goes on. All of it is off at evaluation (arXiv:2502.11858, Section 5)."""

    attack_steps: AnySchedule = Linear(start=1, end=5, until=0.75)
    """Attack level: gradient steps of the attack, rounded."""
    sampling_ratio: AnySchedule = Constant(value=0.25)
    """Share of segments that are attacked, in (0, 1]; the others take over their neighbours' perturbation."""
    epsilon_factor: AnySchedule = Constant(value=1.0)
    """Share of the threat model's budgets."""
    mask_ratio: AnySchedule = Constant(value=0.0)
    """Data level: share of segments that are blanked, in [0, 1)."""
    masking: Literal["synchronous", "asynchronous"] = "synchronous"
    """Whether both modalities lose the same segments."""
    dropout_ratio: AnySchedule = Constant(value=0.0)
    """Model level: share of feature units that are dropped, in [0, 1)."""

    @model_validator(mode="after")
    def _values_are_in_range(self) -> Curriculum:
        allowed = {
            "attack_steps": (0.5, math.inf),
            "sampling_ratio": (1e-9, 1.0),
            "epsilon_factor": (0.0, math.inf),
            "mask_ratio": (0.0, 1.0 - 1e-9),
            "dropout_ratio": (0.0, 1.0 - 1e-9),
        }
        wrong = [
            f"{name}: {value:g} is outside [{low:g}, {high:g}]"
            for name, (low, high) in allowed.items()
            for value in getattr(self, name).values
            if not low <= value <= high
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def at(self, progress: float) -> dict[str, float]:
        """Every schedule's value at `progress` in [0, 1], by name."""
        names = ("attack_steps", "sampling_ratio", "epsilon_factor", "mask_ratio", "dropout_ratio")
        values = {name: float(getattr(self, name).at(progress)) for name in names}
        return values | {"attack_steps": float(max(1, round(values["attack_steps"])))}


def mask_segments(
    batch: Batch, mask_ratio: float, masking: Literal["synchronous", "asynchronous"], generator: torch.Generator
) -> Batch:
    """Blank `mask_ratio` of each clip's segments: black frames and silence (arXiv:2502.11858, Section 3)."""
    num_masked = min(round(mask_ratio * batch.num_segments), batch.num_segments - 1)
    if num_masked == 0:
        return batch
    video_mask = _random_mask(batch, num_masked, generator, "mask")
    audio_mask = video_mask if masking == "synchronous" else _random_mask(batch, num_masked, generator, "audio mask")
    return batch.with_streams(
        batch.video.masked_fill(video_mask[:, :, None, None, None], 0.0),
        batch.audio.masked_fill(audio_mask.reshape(*audio_mask.shape, *([1] * (batch.audio.dim() - 2))), 0.0),
    )


def _random_mask(
    batch: Batch, num_masked: int, generator: torch.Generator, purpose: str
) -> Bool[Tensor, "batch segments"]:
    cpu = torch.device("cpu")
    draws = torch.stack(
        [torch.rand(batch.num_segments, generator=clip_generator(generator, key, purpose, cpu)) for key in batch.keys]
    )
    masked = draws.argsort(dim=1)[:, :num_masked]
    mask = torch.zeros(len(batch), batch.num_segments, dtype=torch.bool)
    return mask.scatter(1, masked, True).to(batch.video.device)
