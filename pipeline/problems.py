"""How a problem in the settings is worded: the dotted key, what was given, what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.settings_tree import Slot, field_slot, keys, slot


def describe(error: ValidationError, config_class: type[BaseModel], tree: object) -> list[str]:
    """One line for each problem that checking `tree` against `config_class` found."""
    valid = tuple(keys(config_class, tree))
    return [_line(each, config_class, tree, valid) for each in error.errors(include_url=False)]


def nearest(key: str, valid: Iterable[str]) -> str | None:
    """The valid dotted key that was probably meant: by its whole spelling, else by its last word."""
    choices = list(valid)
    if close := difflib.get_close_matches(key, choices, n=1, cutoff=0.7):
        return close[0]
    last = key.rpartition(".")[2]
    ends = {each.rpartition(".")[2]: each for each in reversed(choices)}
    close = difflib.get_close_matches(last, ends, n=1, cutoff=0.75)
    return ends[close[0]] if close else None


def _line(problem: ErrorDetails, config_class: type[BaseModel], tree: object, valid: Sequence[str]) -> str:
    key = dotted(problem["loc"], config_class, tree)
    context: Mapping[str, Any] = problem.get("ctx", {})
    got = f"got {_short(problem['input'])}"
    match problem["type"]:
        case "missing":
            return f"{key}: missing; it has no default, so give it in the YAML or as {key}=..."
        case "extra_forbidden":
            meant = nearest(key, valid)
            group = key.rpartition(".")[0]
            siblings = [each.removeprefix(f"{group}.") for each in valid if each.rpartition(".")[0] == group]
            hint = f"the nearest is '{meant}'" if meant else f"allowed: {', '.join(siblings)}"
            return f"{key}: unknown setting; {hint}"
        case "union_tag_invalid":
            name = str(context["discriminator"]).strip("'")
            return f"{_join(key, name)}: got '{context['tag']}'; allowed: {_words(context['expected_tags'])}"
        case "union_tag_not_found":
            name = str(context["discriminator"]).strip("'")
            return f"{_join(key, name)}: missing; say which one"
        case "literal_error":
            return f"{key}: {got}; allowed: {_words(context['expected'].replace(' or ', ', '))}"
        case "value_error":
            message = str(context["error"])
            return f"{key}: {message}" if key else message
        case _:
            message = problem["msg"]
            allowed = message.removeprefix("Input should be ")
            return f"{key}: {got}; " + (f"allowed: {allowed}" if allowed != message else message)


def dotted(location: Sequence[str | int], config_class: type[BaseModel], tree: object) -> str:
    """The key as a user writes it: pydantic's location without the tags of union members."""
    place, value, parts = Slot((config_class,)), tree, list[str]()
    rest = list(location)
    while rest:
        if place.discriminator and str(rest[0]) in place.members:
            rest.pop(0)
        if not rest:
            break
        step = rest.pop(0)
        parts.append(str(step))
        place, value = _step(place, value, step)
    return ".".join(parts)


def _step(place: Slot, value: object, step: str | int) -> tuple[Slot, object]:
    below: object = None
    if isinstance(value, Mapping):
        below = value.get(step)
    elif isinstance(value, list | tuple) and isinstance(step, int) and step < len(value):
        below = value[step]
    if place.item is not None:
        return slot(place.item), below
    chosen = place.chosen(value)
    field = chosen.model_fields.get(str(step)) if chosen else None
    return (field_slot(field) if field else Slot()), below


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _words(quoted: str) -> str:
    return quoted.replace("'", "")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
