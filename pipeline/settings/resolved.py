"""The settings that a command runs with, as YAML that loads back, with each one's explanation and origin."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.settings.groups import find
from pipeline.settings.load import ConfigError, given_keys, load
from pipeline.settings.yaml_text import one_line
from preprocessing.settings import Settings

WIDTH = 110
MISSING = "GIVE-ONE"
"""Stands for a required setting while the others are resolved."""


def resolved(command: str, config_class: type[Settings], file: Path | None, changes: Sequence[str]) -> str:
    """The YAML text; required settings that nobody has given are comments in it.

    Raises:
        ConfigError: if the settings cannot be used.
    """
    config = _load(config_class, file, changes)
    origins = given_keys(file, changes)
    lines = [f"# The settings of `{command}`, each with its origin in [brackets]: default, file or command line."]
    return "\n".join([*lines, *_group(config, "", 0, origins)]) + "\n"


def _load(config_class: type[Settings], file: Path | None, changes: Sequence[str]) -> Settings:
    """The config, with `MISSING` for the texts that are required and not given."""
    try:
        return load(config_class, file, changes)
    except ConfigError as error:
        if not all(": missing; it has no default" in problem for problem in error.problems):
            raise
        keys = [problem.partition(":")[0] for problem in error.problems]
        missing = [f"{key}={MISSING}" for key in keys if not find(config_class, key)[0].is_group]
        try:
            return load(config_class, file, [*changes, *missing])
        except ConfigError:
            raise error from None


def _group(group: BaseModel, key: str, indent: int, origins: Mapping[str, set[str]]) -> Iterator[str]:
    for name, field in type(group).model_fields.items():
        yield from _setting(name, getattr(group, name), field, f"{key}.{name}" if key else name, indent, origins)


def _setting(
    name: str, value: object, field: FieldInfo, key: str, indent: int, origins: Mapping[str, set[str]]
) -> Iterator[str]:
    space = " " * indent
    text = " ".join((field.description or "").split())
    label = one_line(name)
    if _parts(value):
        yield from _comment(text, space)
        yield f"{space}{label}:"
        yield from _below(value, key, indent + 2, origins)
        return
    is_missing = MISSING in str(value)
    origin = next((place for place, keys in origins.items() if _is_within(key, keys)), "default")
    if origin == "default" and field.is_required():
        origin = "required" if is_missing else "from other settings"
    yield from _comment(f"{text} [{origin}]".strip(), space)
    yield f"{space}# {label}:" if is_missing else f"{space}{label}: {one_line(value)}"


def _is_within(key: str, given: set[str]) -> bool:
    """Whether a key, a group that holds it, or an entry of the mapping that it names was given."""
    return any(key == each or key.startswith(f"{each}.") or each.startswith(f"{key}.") for each in given)


def _below(value: object, key: str, indent: int, origins: Mapping[str, set[str]]) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from _group(value, key, indent, origins)
        return
    for name, each in _parts(value).items():
        yield " " * indent + ("-" if isinstance(value, list | tuple) else f"{one_line(name)}:")
        yield from _below(each, f"{key}.{name}", indent + 2, origins)


def _parts(value: object) -> dict[str, object]:
    """The parts of a group, or of a list or a dict of groups; a plain value has none."""
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, list | tuple) and value and all(isinstance(each, BaseModel) for each in value):
        return {str(number): each for number, each in enumerate(value)}
    if isinstance(value, Mapping) and value and all(isinstance(each, BaseModel) for each in value.values()):
        return {str(name): each for name, each in value.items()}
    return {}


def _comment(text: str, space: str) -> Sequence[str]:
    start = f"{space}# "
    return textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False, break_on_hyphens=False
    )
