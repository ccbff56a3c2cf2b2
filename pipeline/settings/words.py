"""The words after a command, taken apart: a YAML file, settings, and what a command lets stand for settings."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.settings.help import config_class_of
from pipeline.settings.yaml_text import YAML_ENDINGS
from preprocessing.errors import SettingsError


def file_and_changes(words: Sequence[str] | None) -> tuple[Path | None, list[str]]:
    """`[FILE] [key=value ...]` taken apart."""
    changes = list(words or ())
    return (Path(changes.pop(0)) if changes and "=" not in changes[0] else None), changes


def places_and_changes(words: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """`VIDEO_OR_FOLDER... [key=value ...]` taken apart, in any order; a file that is there is none of the settings."""
    places: list[str] = []
    changes: list[str] = []
    for word in words or ():
        key, equals, _ = word.partition("=")
        is_setting = bool(equals) and re.fullmatch(r"[\w.]+", key) is not None and not os.path.lexists(word)
        (changes if is_setting else places).append(word)
    return places, changes


def spelled_out(command: str, words: Sequence[str] | None) -> list[str]:
    """The words of a command with folders, `DIR` and `NAME=DIR`, put into the settings that they stand for.

    A word without `=` is a folder, unless it is the first and ends like a YAML file. A word whose key is no setting is
    a name. `compare` has folders, several separated by commas, as `methods`, those without a name called by their last
    part; `transfer` has them as `checkpoint`, and those with a name as `models`; `perceptibility` has one, its
    `evaluation`. The words of other commands stay as they are.

    Raises:
        SettingsError: if two folders have one name, or two evaluations are given.
    """
    given = list(words or ())
    if command == "perceptibility":
        return _with_evaluation(given)
    if command not in ("compare", "transfer"):
        return given
    settings = set(config_class_of(command).model_fields)
    rest, folders = [], []
    for number, word in enumerate(given):
        key, equals, value = word.partition("=")
        is_file = not equals and number == 0 and word.endswith(YAML_ENDINGS)
        is_setting = bool(equals) and key.split(".")[0].strip() in settings
        if is_file or is_setting:
            rest.append(word)
        else:
            folders.append((key, value) if equals else ("", word))
    return [*rest, *(_methods(folders) if command == "compare" else _models(folders))]


def _methods(folders: Sequence[tuple[str, str]]) -> list[str]:
    """Folders with their names, if they have any, as a setting of `compare`."""
    named = [(name or Path(folder).resolve().name, folder) for name, folder in folders]
    methods = {name: folder.split(",") for name, folder in _told_apart(named).items()}
    return [f"methods={json.dumps(methods)}"] if methods else []


def _models(folders: Sequence[tuple[str, str]]) -> list[str]:
    """The same as settings of `transfer`."""
    checkpoint = [folder for name, folder in folders if not name]
    models = _told_apart([(name, folder) for name, folder in folders if name])
    found = {"checkpoint": checkpoint, "models": models}
    return [f"{setting}={json.dumps(value)}" for setting, value in found.items() if value]


def _told_apart(named: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Folders by name."""
    found: dict[str, str] = {}
    for name, folder in named:
        if name in found:
            raise SettingsError(f"'{found[name]}' and '{folder}' are both '{name}': name them, NAME=DIR")
        found[name] = folder
    return found


def _with_evaluation(given: Sequence[str]) -> list[str]:
    folders = [word for word in given if "=" not in word and not (word == given[0] and word.endswith(YAML_ENDINGS))]
    if len(folders) > 1:
        raise SettingsError(f"'{folders[0]}' and '{folders[1]}' are two evaluations: look at one at a time")
    return [*(word for word in given if word not in folders), *(f"evaluation={json.dumps(each)}" for each in folders)]
