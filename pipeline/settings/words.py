"""The words after a command, taken apart: a YAML file, settings, and what a command lets stand for settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.settings.help import config_class_of
from preprocessing.errors import SettingsError

YAML_ENDINGS = (".yaml", ".yml")


def file_and_changes(words: Sequence[str] | None) -> tuple[Path | None, list[str]]:
    """`[FILE] [key=value ...]` taken apart."""
    changes = list(words or ())
    return (Path(changes.pop(0)) if changes and "=" not in changes[0] else None), changes


def spelled_out(command: str, words: Sequence[str] | None) -> list[str]:
    """The words of `compare` with `DIR` and `NAME=DIR,DIR` put into the setting `methods`; of others as they are.

    A word without `=` is a folder, called by its last part, unless it is the first and ends like a YAML file. A word
    whose key is no setting is a name.

    Raises:
        SettingsError: if two methods have one name.
    """
    given = list(words or ())
    if command != "compare":
        return given
    settings = set(config_class_of(command).model_fields)
    methods: dict[str, list[str]] = {}
    rest = []
    for number, word in enumerate(given):
        key, equals, value = word.partition("=")
        is_file = not equals and number == 0 and word.endswith(YAML_ENDINGS)
        is_setting = bool(equals) and key.split(".")[0].strip() in settings
        if is_file or is_setting:
            rest.append(word)
        else:
            name = key if equals else Path(word).resolve().name
            if name in methods:
                raise SettingsError(
                    f"'{methods[name][0]}' and '{value or word}' are both '{name}': name them, NAME=DIR"
                )
            methods[name] = (value if equals else word).split(",")
    return [*rest, *([f"methods={json.dumps(methods)}"] if methods else [])]
