"""From a YAML file and `key=value` words to one checked, frozen config.

Later wins: the class's own defaults, the YAML file, the words. Every problem is found at once, and each names its
dotted key, what was given and what is allowed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.settings.problems import ConfigError, describe
from pipeline.settings.tree import Slot, default_tree, field_slot, slot, step
from pipeline.settings.yaml_text import YAML_ENDINGS, parse, read_yaml, to_yaml
from preprocessing.settings import flatten as leaves
from preprocessing.settings import plain

__all__ = ["ConfigError", "dump", "flatten", "given_keys", "load", "override", "read_yaml"]

logger = logging.getLogger(__name__)

Config = TypeVar("Config", bound=BaseModel)


def load(
    config_class: type[Config], file: Path | None = None, changes: Sequence[str] | Mapping[str, object] = ()
) -> Config:
    """Class defaults, then the YAML `file`, then `changes`: `a.b=1e-3` words as typed, or dotted keys with values.

    A changed `name` (of an attack, an objective, a data set, ...) starts that member from its own defaults plus the
    other keys given at the same level of precedence.

    Raises:
        ConfigError: if anything is unknown, missing, of the wrong kind or out of range.
    """
    problems: list[str] = []
    tree = _combine(Slot((config_class,)), {}, read_yaml(file) if file else {}, "")
    pairs = _pairs(changes) if isinstance(changes, Mapping) else _parse(changes, problems)
    for key, value in _in_order(pairs):
        _tell_what_is_left_out(tree, key, value)
        tree = _change(config_class, tree, key, value, problems)
    given = [f"'{file}'"] if file else []
    if changes or not file:
        given.append("the given settings" if isinstance(changes, Mapping) else "the command line")
    return _check(config_class, tree, problems, " and ".join(given))


def override(config: Config, changes: Mapping[str, object]) -> Config:
    """The same config with other values under dotted keys, checked again.

    Raises:
        ConfigError: if the result is not valid.
    """
    config_class = type(config)
    problems: list[str] = []
    tree = plain(config)
    for key, value in _in_order(_pairs(changes)):
        tree = _change(config_class, tree, key, value, problems)
    return _check(config_class, tree, problems, "the changed settings")


def flatten(config: BaseModel) -> dict[str, str | float]:
    """Every setting under its dotted key; what is not a number becomes text."""
    return {key: _number_or_text(value) for key, value in leaves(config).items()}


def _number_or_text(value: object) -> str | float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    return str(value) if isinstance(value, PurePath) else json.dumps(value, default=str)


def dump(config: BaseModel, *, exclude: set[str] | None = None, comment: str = "") -> str:
    """The config as YAML text that `load` reads back; `exclude` leaves out top-level keys."""
    tree = config.model_dump(mode="json", exclude=exclude)
    lines = "".join(f"# {line}\n" for line in comment.splitlines())
    return lines + to_yaml(tree)


def given_keys(file: Path | None, changes: Sequence[str]) -> dict[str, set[str]]:
    """The dotted keys that settle a value, by where they are given, the winning place first: both of checked settings.

    What the file says and a word drops is not among them: another `name`, or a whole list.
    """
    in_file = leaves(read_yaml(file)) if file else {}
    typed: set[str] = set()
    for key, value in _in_order(_parse(changes, [])):
        if not isinstance(value, Mapping):
            in_file = {name: each for name, each in in_file.items() if not name.startswith(f"{key}.")}
        for name, each in leaves({key: value}).items():
            group, _, last = name.rpartition(".")
            if last == "name" and in_file.get(name, each) != each:
                in_file = {other: old for other, old in in_file.items() if not other.startswith(f"{group}.")}
            typed.add(name)
    return {"command line": typed, "file": set(in_file)}


def _parse(changes: Sequence[str], problems: list[str]) -> list[tuple[str, Any]]:
    parsed: dict[str, Any] = {}
    for word in changes:
        key, equals, text = word.partition("=")
        key = key.strip()
        if not equals and word.endswith(YAML_ENDINGS):
            problems.append(f"{word}: a YAML file stands first and there is one of them: {word} KEY=VALUE ...")
        elif not equals or not all(key.split(".")):
            problems.append(f"{word}: not of the form key=value, such as optimizer.learning_rate=1e-3")
        elif key in parsed:
            problems.append(f"{key}: given twice on the command line")
        else:
            try:
                parsed[key] = parse(text)
            except yaml.YAMLError:
                parsed[key] = text
    return list(parsed.items())


def _pairs(changes: Mapping[str, object]) -> list[tuple[str, Any]]:
    return [(key, plain(value)) for key, value in changes.items()]


def _in_order(changes: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Groups before their parts, and `name` before its neighbours: the order of the words does not matter."""
    return sorted(changes, key=lambda change: (change[0].count("."), not change[0].endswith(".name")))


def _change(config_class: type[BaseModel], tree: Any, key: str, value: object, problems: list[str]) -> Any:
    """`tree` with `value` under the dotted `key`."""
    root = Slot((config_class,))
    try:
        return _combine(root, tree, _nest(root, key.split("."), value, tree), "")
    except IndexError as error:
        problems.append(f"{key}: {error}")
        return tree
    except ValidationError:  # part of a value whose text means nothing: the text stays, for `_check` to refuse
        return tree


def _nest(place: Slot, parts: list[str], value: object, tree: object) -> Any:
    """`a.b=1` as `{a: {b: 1}}`. The keys of a dict of settings may hold dots themselves and are taken whole."""
    if not parts:
        return value
    known = tree if isinstance(tree, Mapping) else {}
    length = 1
    if place.item is not None and not place.is_sequence:
        whole = len(parts) if isinstance(value, Mapping) else len(parts) - 1
        lengths = range(len(parts), 0, -1)
        length = next((each for each in lengths if ".".join(parts[:each]) in known), max(whole, 1))
    key = ".".join(parts[:length])
    below, child = step(place, tree, key)
    return {key: _nest(below, parts[length:], value, child)}


def _tell_what_is_left_out(tree: Any, key: str, value: object) -> None:
    """Another `name` on the command line drops the settings that the YAML gave to the old one: say so."""
    *group, last = key.split(".")
    for part in group:
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    if last == "name" and isinstance(tree, Mapping) and tree.get("name", value) != value and len(tree) > 1:
        dropped = ", ".join(".".join([*group, name]) for name in tree if name != "name")
        logger.info("%s=%s: left out what the YAML says for '%s': %s", key, value, tree["name"], dropped)


def _combine(place: Slot, base: Any, change: Any, key: str) -> Any:
    """`change` laid over `base`, both plain values standing at `place`."""
    if not isinstance(change, Mapping):
        return change
    if place.is_sequence and isinstance(base, list | tuple):
        return _combine_items(place, list(base), change, key)
    if place.classes:
        return _combine_settings(place, _as_tree(place, base), change, key)
    if place.item is not None:
        old = base if isinstance(base, Mapping) else {}
        item = slot(place.item)
        return {**old, **{name: _combine(item, old.get(name), each, f"{key}{name}.") for name, each in change.items()}}
    return {**base, **change} if isinstance(base, Mapping) else dict(change)


def _combine_items(place: Slot, base: list[Any], change: Mapping[str, Any], key: str) -> list[Any]:
    for name, each in change.items():
        number = int(name) if str(name).isdigit() else -1
        if not 0 <= number <= len(base):
            raise IndexError(f"'{name}' is no entry; the list has {len(base)}, numbered from 0")
        old = base[number] if number < len(base) else None
        base[number : number + 1] = [_combine(slot(place.item), old, each, f"{key}{name}.")]
    return base


def _combine_settings(place: Slot, base: dict[str, Any], change: Mapping[str, Any], key: str) -> dict[str, Any]:
    tag = place.discriminator
    if tag and tag in change and base.get(tag) not in (None, change[tag]):
        base = {}
    chosen = place.chosen({**base, **change})
    combined = dict(base)
    for name, each in change.items():
        field = chosen.model_fields.get(name) if chosen else None
        if field is None:
            combined[name] = each
            continue
        old = base[name] if name in base else default_tree(field)
        combined[name] = _combine(field_slot(field), old, each, f"{key}{name}.")
    return combined


def _as_tree(place: Slot, base: Any) -> dict[str, Any]:
    """`base` as a mapping: a settings class may also be written as text, such as `linf(video=4/255)` or `AcA`.

    Raises:
        ValidationError: if the class does not know this text.
    """
    if isinstance(base, Mapping):
        return dict(base)
    if isinstance(base, str) and len(place.classes) == 1:
        return dict(plain(place.classes[0].model_validate(base)))
    return {}


def _check(config_class: type[Config], tree: Any, problems: list[str], source: str) -> Config:
    try:
        config = config_class.model_validate(tree)
    except ValidationError as error:
        raise ConfigError([*problems, *describe(error, config_class, tree)], source) from None
    if problems:
        raise ConfigError(problems, source)
    return config
