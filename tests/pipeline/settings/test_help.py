from __future__ import annotations

import importlib

import pytest

from pipeline.settings.help import CONFIG_CLASSES, explain
from preprocessing.settings import Settings


@pytest.mark.parametrize("command", CONFIG_CLASSES)
def test_every_setting_of_every_command_is_explained(command: str) -> None:
    """A field without a docstring would show its default alone."""
    module, name = CONFIG_CLASSES[command]
    config_class: type[Settings] = getattr(importlib.import_module(module), name)
    for field_name, field in config_class.model_fields.items():
        assert field.description, f"{command}: {field_name}"
        assert explain(field).startswith(" ".join(field.description.split()))


def test_defaults_are_told_as_they_are_typed() -> None:
    class Part(Settings):
        first: int = 1
        second: int = 2

    class Named(Settings):
        name: str = "linear"

    class Whole(Settings):
        needed: int
        """A number."""
        count: int = 3
        """How many."""
        nothing: int | None = None
        """May stay unset."""
        part: Part = Part()
        """A group."""
        way: Named = Named()
        """One of several."""
        ways: tuple[Named, ...] = (Named(), Named(name="cosine"))
        """A list."""

    assert {name: explain(field) for name, field in Whole.model_fields.items()} == {
        "needed": "A number. Required.",
        "count": "How many. Default: 3.",
        "nothing": "May stay unset. Default: none.",
        "part": "A group. Parts: first, second.",
        "way": "One of several. Default: linear.",
        "ways": "A list. Default: linear, cosine.",
    }
