from __future__ import annotations

import itertools
import re
from typing import Annotated, Literal

import pytest
from pydantic import Field

from pipeline.commands import main
from pipeline.settings.groups import Entry, walk
from pipeline.settings.help import CONFIG_CLASSES, config_class_of, explain, group_help
from preprocessing.settings import Settings


def words_of(text: str) -> str:
    """Without the line breaks of the terminal."""
    return " ".join(text.split())


@pytest.mark.parametrize("command", CONFIG_CLASSES)
def test_every_setting_of_every_command_is_reached_and_explained(command: str) -> None:
    """Every leaf of every member of every union stands, with its docstring, in the help of its group."""
    config_class = config_class_of(command)
    entries = list(walk(config_class))
    assert not [entry.key for entry in entries if not (entry.is_tag or (entry.field and entry.field.description))]
    groups = itertools.groupby(sorted(entries, key=group_of), key=group_of)
    for group, below in groups:
        if not group:
            continue  # the command's own help: see test_commands
        text = words_of("\n".join(group_help(config_class, group)))
        for entry in below:
            assert entry.field is not None
            if entry.is_tag:
                assert str(entry.field.default) in text
            else:
                assert f"{entry.key} {words_of(entry.field.description or '')}" in text, entry.key


def group_of(entry: Entry) -> str:
    return entry.key.rpartition(".")[0]


def test_a_group_shows_every_choice_with_its_own_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help", "objective.curriculum.attack_steps"]) == 0
    text = words_of(capsys.readouterr().out)
    assert "objective.curriculum.attack_steps.name is one of: constant, linear, cosine, step, piecewise" in text
    assert "objective.curriculum.attack_steps.until Progress at which `end` is reached. Default: 1.0." in text


def test_a_single_setting_and_a_choice_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help", "optimizer.learning_rate", "objective.name"]) == 0
    text = words_of(capsys.readouterr().out)
    assert "optimizer.learning_rate Highest learning rate. Default: 0.001. Allowed: a number, above 0." in text
    assert "pgd_at Adversarial training" in text


@pytest.mark.parametrize("key", ["validation.attacks.0.steps", "validation.attacks.steps"])
def test_entries_of_a_list_may_be_numbered(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help", key]) == 0
    assert words_of(capsys.readouterr().out).startswith("validation.attacks.steps Gradient steps")


def test_an_unknown_group_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help", "optimzer"]) == 2
    assert capsys.readouterr().err == "error: optimzer: unknown setting; the nearest is 'optimizer'\n"


@pytest.mark.parametrize("columns", [40, 72, 200])
@pytest.mark.parametrize("words", [["train", "--help"], ["tune", "--help", "train.objective.crafting"], ["--help"]])
def test_help_is_as_wide_as_the_terminal_and_cuts_no_name(
    words: list[str], columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    keys = [line.strip() for line in lines if re.fullmatch(r" {2}[a-z_.]+", line)]
    assert not [line for line in lines if len(line) > columns and line.strip() not in keys]
    if words[0] != "--help":
        assert max(map(len, lines)) > min(columns, 100) * 0.8 or columns == 200
        config_class = config_class_of(words[0])
        known = {entry.key for entry in walk(config_class)}
        assert keys
        assert set(keys) <= known


def test_defaults_are_told_as_they_are_typed() -> None:
    class Part(Settings):
        first: int = 1
        second: int = 2

    class Named(Settings):
        name: Literal["linear", "cosine"] = "linear"

    class Other(Settings):
        name: Literal["step"] = "step"

    class Whole(Settings):
        needed: int
        """A number."""
        count: int = 3
        """How many."""
        nothing: int | None = None
        """May stay unset."""
        part: Part = Part()
        """A group."""
        way: Annotated[Named | Other, Field(discriminator="name")] = Named()
        """One of several."""
        ways: tuple[Named, ...] = (Named(), Named(name="cosine"))
        """A list."""

    assert {name: explain(field) for name, field in Whole.model_fields.items()} == {
        "needed": "A number. Required.",
        "count": "How many. Default: 3.",
        "nothing": "May stay unset. Default: null.",
        "part": "A group. Parts: first, second.",
        "way": "One of several. Default: linear.",
        "ways": "A list. Default: linear, cosine.",
    }
