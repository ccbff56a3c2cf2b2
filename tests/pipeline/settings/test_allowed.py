"""What a setting may be, as help and error messages say it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, JsonValue, PositiveInt

from pipeline.settings.allowed import allowed
from preprocessing.settings import Settings


class Inner(Settings):
    depth: int = 1


class Everything(Settings):
    switch: bool
    count: PositiveInt
    share: float = Field(ge=0, lt=1)
    word: Literal["one", "2"]
    text: str = Field(min_length=1)
    maybe: int | None
    numbers: tuple[float, ...]
    pairs: tuple[tuple[float, int], ...]
    bounded_numbers: tuple[Annotated[float, Field(gt=0)], ...]
    by_name: dict[str, int]
    place: Path
    anything: JsonValue
    group: Inner


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("switch", "true or false"),
        ("count", "a whole number, above 0"),
        ("share", "a number, from 0 below 1"),
        ("word", "one, '2'"),
        ("text", "text, at least 1"),
        ("maybe", "a whole number or null"),
        ("numbers", "a list, each a number"),
        ("pairs", "a list, each a list, each a number or a whole number"),
        ("bounded_numbers", "a list, each a number, above 0"),
        ("by_name", "{key: value} pairs"),
        ("place", "a path"),
        ("anything", "any value"),
        ("group", "Inner"),
    ],
)
def test_a_kind_and_its_bounds_are_words(name: str, words: str) -> None:
    assert allowed(Everything.model_fields[name]) == words
