"""The words for a problem in the settings: the dotted key, what was given, what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.settings.tree import Slot, keys, step
from preprocessing.errors import SettingsError


class ConfigError(SettingsError):
    """The settings as given cannot be used; the message lists every problem, one a line."""

    def __init__(self, problems: Sequence[str], source: str) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n  ".join([f"{count} in {source}:", *problems]))
        self.source = source

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[str, ...], str]]:
        """As it is made, so that it comes whole from another process."""
        return type(self), (self.problems, self.source)


def describe(error: ValidationError, config_class: type[BaseModel], tree: object) -> list[str]:
    """One line for each problem that checking `tree` against `config_class` found."""
    valid = tuple(keys(config_class, tree))
    return [_line(each, config_class, tree, valid) for each in error.errors(include_url=False)]


def nearest(key: str, valid: Iterable[str]) -> str | None:
    """The valid dotted key that was probably meant: one of the same group, else one anywhere that ends alike."""
    group, _, last = key.rpartition(".")
    ends: dict[str, list[str]] = {}
    for each in valid:
        ends.setdefault(each.rpartition(".")[2], []).append(each)
    siblings = [end for end, places in ends.items() if any(place.rpartition(".")[0] == group for place in places)]
    for choices, cutoff in ((siblings, 0.6), (list(ends), 0.75)):
        if close := difflib.get_close_matches(last, choices, n=1, cutoff=cutoff):
            places = ends[close[0]]
            return next((place for place in places if place.rpartition(".")[0] == group), places[0])
    return None


def _line(problem: ErrorDetails, config_class: type[BaseModel], tree: object, valid: Sequence[str]) -> str:
    key = dotted(problem["loc"], config_class, tree)
    context: Mapping[str, Any] = problem.get("ctx", {})
    got = f"got {_short(problem['input'])}"
    match problem["type"]:
        case "missing":
            return f"{key}: missing; it has no default, so give it in the YAML or as {key}=..."
        case "extra_forbidden":
            return f"{key}: {_unknown(key, problem['loc'], config_class, tree, valid)}"
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


def _unknown(
    key: str, location: Sequence[str | int], config_class: type[BaseModel], tree: object, valid: Sequence[str]
) -> str:
    place, group = _find(location[:-1], config_class, tree)
    name = str(location[-1])
    if others := [tag for tag, each in place.members.items() if name in each.model_fields]:
        here = group.get(place.discriminator) if isinstance(group, Mapping) else None
        return f"'{here}' has no such setting; it belongs to {', '.join(others)}"
    if meant := nearest(key, valid):
        return f"unknown setting; the nearest is '{meant}'"
    prefix = key.removesuffix(name)
    siblings = [each.removeprefix(prefix) for each in valid if each.startswith(prefix)]
    return f"unknown setting; allowed: {', '.join(each for each in siblings if '.' not in each)}"


def dotted(location: Sequence[str | int], config_class: type[BaseModel], tree: object) -> str:
    """The key as a user writes it: pydantic's location without the tags of union members."""
    parts = [str(part) for part, _, _ in _walk(location, config_class, tree)]
    return ".".join(parts)


def _find(location: Sequence[str | int], config_class: type[BaseModel], tree: object) -> tuple[Slot, object]:
    """The slot at `location`, and the value in it."""
    places = [
        (Slot((config_class,)), tree),
        *((place, value) for _, place, value in _walk(location, config_class, tree)),
    ]
    return places[-1]


def _walk(
    location: Sequence[str | int], config_class: type[BaseModel], tree: object
) -> Iterator[tuple[str | int, Slot, object]]:
    """The keys along `location` (not the tags of union members), each with what may stand below it and what does."""
    place, value = Slot((config_class,)), tree
    for part in location:
        if place.discriminator and str(part) in place.members:
            continue
        place, value = step(place, value, part)
        yield part, place, value


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _words(quoted: str) -> str:
    return quoted.replace("'", "")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
