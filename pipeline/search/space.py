"""The distributions of the values that a search tries, and the check that the settings allow these values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator
from ray import tune
from ray.tune.search.sample import Domain

from pipeline.settings.load import ConfigError, override
from preprocessing.errors import SettingsError
from preprocessing.settings import Settings
from training.config import TrainConfig
from training.threat import Fraction

FIXED = ("data", "output", "validation", "epochs", "workers", "gpu", "max_failures")
"""Settings (and groups) that all trials have in common: what is measured, on what, and what a trial may cost."""


class _Interval(Settings):
    low: Fraction
    """The least value."""
    high: Fraction
    """The greatest value."""

    @model_validator(mode="after")
    def _low_is_below_high(self) -> _Interval:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got low={self.low:g} and high={self.high:g}")
        return self

    @property
    def examples(self) -> tuple[object, ...]:
        """Both ends and a value between them."""
        return (self.low, self.high, self.low + 0.618 * (self.high - self.low))


class Uniform(_Interval):
    """A number between `low` and `high`, all equally likely."""

    name: Literal["uniform"] = "uniform"

    def domain(self) -> Domain:
        """The same for Ray Tune."""
        domain: Domain = tune.uniform(self.low, self.high)
        return domain


class LogUniform(_Interval):
    """A number between `low` and `high`, every order of magnitude equally likely."""

    name: Literal["loguniform"] = "loguniform"
    low: Annotated[Fraction, Field(gt=0)]
    """The least value, above 0."""

    def domain(self) -> Domain:
        """The same for Ray Tune."""
        domain: Domain = tune.loguniform(self.low, self.high)
        return domain


class RandInt(Settings):
    """A whole number from `low` to `high`, both included."""

    name: Literal["randint"] = "randint"
    low: int
    """The least value."""
    high: int
    """The greatest value."""

    @model_validator(mode="after")
    def _low_is_below_high(self) -> RandInt:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got low={self.low} and high={self.high}")
        return self

    @property
    def examples(self) -> tuple[object, ...]:
        """Both ends."""
        return (self.low, self.high)

    def domain(self) -> Domain:
        """The same for Ray Tune, whose upper end is excluded."""
        domain: Domain = tune.randint(self.low, self.high + 1)
        return domain


class Choice(Settings):
    """One of `values`, all equally likely."""

    name: Literal["choice"] = "choice"
    values: tuple[JsonValue, ...] = Field(min_length=1)
    """All values that are tried."""

    @property
    def examples(self) -> tuple[object, ...]:
        """All of them."""
        return self.values

    def domain(self) -> Domain:
        """The same for Ray Tune."""
        domain: Domain = tune.choice(list(self.values))
        return domain


AnyDistribution = Annotated[Uniform | LogUniform | RandInt | Choice, Field(discriminator="name")]


def check_space(space: Mapping[str, AnyDistribution], train: TrainConfig) -> None:
    """Refuse settings that trials must have in common, and values that `train` would not take.

    Raises:
        ValueError: naming every wrong key.
    """
    problems = []
    for key, distribution in space.items():
        if fixed := next((each for each in FIXED if key == each or key.startswith(f"{each}.")), None):
            problems.append(f"{key}: all trials have the same '{fixed}', so that their results compare; remove it")
            continue
        found = dict.fromkeys(problem for each in distribution.examples for problem in _problems(train, key, each))
        problems.extend(found)
    if problems:
        raise SettingsError("cannot be searched: " + "; ".join(problems))


def _problems(train: TrainConfig, key: str, value: object) -> tuple[str, ...]:
    try:
        override(train, {key: value})
    except ConfigError as error:
        return error.problems
    return ()
