from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from docs.generator.settings import settings_rows
from docs.generator.values import VALIDATED, kind, short, text_of
from preprocessing.config import PreprocessConfig
from preprocessing.schema import ClipFormat
from training.attacks import PGD, TMA
from training.config import TrainConfig
from training.objectives import TMAAT
from training.threat import ThreatModel


class Example(ClipFormat):
    count: PositiveInt | None = None
    share: float = Field(default=0.5, gt=0, lt=1)
    level: float = Field(default=1.0, ge=0, le=1)
    loss: PositiveFloat = 1.0
    weight: NonNegativeFloat = 0.0
    ceiling: float = Field(default=0.0, le=0)
    way: Literal["one", "other"] = "one"
    places: tuple[Path, ...] = ()
    pair: tuple[float, float] = (0.0, 1.0)
    budget: Annotated[float, Field(ge=0), Field(le=1)] = 0.5


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("count", "whole number, 1 or more or unset"),
        ("share", "number, in (0, 1)"),
        ("level", "number, in \\[0, 1\\]"),
        ("loss", "number, greater than 0"),
        ("weight", "number, 0 or more"),
        ("ceiling", "number, 0 or less"),
        ("way", "`one`, `other`"),
        ("places", "list of: path"),
        ("pair", "list of 2: number"),
        ("budget", "number, in \\[0, 1\\]"),
    ],
)
def test_types_and_ranges_are_told_in_words(name: str, words: str) -> None:
    field = Example.model_fields[name]
    assert kind(field.annotation, field.metadata) == words


def test_every_validator_that_has_words_stands_at_some_setting() -> None:
    """A validator under another name would silently lose its words."""
    rows = [*settings_rows(PreprocessConfig), *settings_rows(ThreatModel)]
    assert {words for words in VALIDATED.values() if not any(row.kind.startswith(words) for row in rows)} == set()


def test_values_are_told_as_they_are_typed() -> None:
    assert text_of(True) == "true"
    assert text_of(4 / 255) == "4/255"
    assert text_of(0.25) == "0.25"
    assert text_of(PGD()) == "pgd"
    assert text_of((PGD(steps=20), PGD(steps=20, loss="margin"))) == (
        "[{name: pgd, steps: 20}, {name: pgd, steps: 20, loss: margin}]"
    )
    assert text_of(ThreatModel()) == "linf(video=4/255, audio=4/255)"
    assert short(None) == "unset"
    assert short(ClipFormat()) == "as below"


def test_a_default_is_the_one_that_holds_at_its_place() -> None:
    """TMA's own number of steps is 10, and that of TMA in `tma_at` is 5."""
    defaults = {row.key: row.default for row in settings_rows(TMAAT)}
    assert TMA().steps == 10
    assert defaults["attack.steps"] == "`5`"
    assert defaults["crafting.sampling_ratio"] == "`0.25`"


def test_a_setting_without_a_default_is_required() -> None:
    defaults = {row.key: row.default for row in settings_rows(TrainConfig)}
    assert defaults["data"] == "required"
    assert defaults["gradient_clip"] == "`1`"
    assert defaults["early_stopping"] == "unset"
