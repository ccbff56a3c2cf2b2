"""The base class of everything that can be set or recorded, and the comparison of two such trees, leaf by leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_serializer

MAX_DIFFERENCES = 20
"""So many differences are told one by one; of more, how many they are."""
MAX_SHOWN = 100
"""Characters of a wrong value that a message shows."""
TAG = "name"
"""The setting that says which member of a union stands in a group."""
_NOTHING = object()


class Settings(BaseModel):
    """Base of everything that can be set or recorded: frozen, and unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )


class GrownSettings(Settings):
    """Settings that have got more since their hashes are stored: a later one is written only where it says something.

    So what is stored, and all that is named by a hash of it, stays bit for bit what it was.
    """

    LATER: ClassVar[frozenset[str]] = frozenset()
    """Settings that are not written while they have their defaults."""

    @model_serializer(mode="wrap")
    def _without_silent(self, serialise: Callable[[Any], Any]) -> dict[str, Any]:
        found: dict[str, Any] = serialise(self)
        fields = type(self).model_fields
        silent = {name for name in self.LATER if getattr(self, name) == fields[name].default}
        return {name: value for name, value in found.items() if name not in silent}


def plain(value: object) -> Any:
    """`value` with every settings object turned into a mapping, every tuple into a list."""
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return value


def flatten(value: object) -> dict[str, object]:
    """Every leaf of nested settings or plain data under its dotted key; the entries of lists of groups are numbered."""
    return dict(_leaves(plain(value), ""))


def describe_differences(before: object, now: object, *, places: tuple[str, str] = ("there", "now")) -> list[str]:
    """Every leaf in which two trees of settings differ, a line each: `optimizer.learning_rate: 0.001 there, 0.003 now`.

    Where a group holds another member of a union, settings that only one of the two has are left out. `places` says
    where the values stand.
    """
    found = [
        f"{key}: {_told(old)} {places[0]}, {_told(new)} {places[1]}"
        for key, old, new in _differences(plain(before), plain(now), "")
    ]
    if len(found) > MAX_DIFFERENCES:
        found[MAX_DIFFERENCES:] = [f"... and {len(found) - MAX_DIFFERENCES:,} more"]
    return found


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong with stored data, in a few words: its dotted key, the reason and what it is."""
    problem = error.errors(include_url=False, include_context=False)[0]
    key, value = ".".join(map(str, problem["loc"])), problem["input"]
    said = f"{key}: {problem['msg']}" if key else problem["msg"]
    return f"{said}; got {value!r:.{MAX_SHOWN}}" if key and isinstance(value, str | int | float) else said


def _leaves(tree: object, key: str) -> Iterator[tuple[str, object]]:
    parts = _parts(tree)
    if not parts:
        yield key, tree
    for name, each in parts.items():
        yield from _leaves(each, _join(key, name))


def _differences(before: object, now: object, key: str) -> Iterator[tuple[str, object, object]]:
    old, new = _parts(before), _parts(now)
    if not (old and new):
        if before != now:
            yield key, before, now
        return
    names = [*old, *(name for name in new if name not in old)]
    if TAG in old and TAG in new and old[TAG] != new[TAG]:
        names = [name for name in names if name in old and name in new]
    for name in names:
        yield from _differences(old.get(name, _NOTHING), new.get(name, _NOTHING), _join(key, name))


def _parts(tree: object) -> dict[str, object]:
    """The parts of a group, or of a list of groups, by name or number; none of a leaf."""
    if isinstance(tree, Mapping):
        return {str(name): each for name, each in tree.items()}
    if isinstance(tree, list) and any(isinstance(each, Mapping) for each in tree):
        return {str(number): each for number, each in enumerate(tree)}
    return {}


def _told(value: object) -> str:
    if value is _NOTHING:
        return "nothing"
    if isinstance(value, Mapping) and TAG in value:
        return str(value[TAG])
    if isinstance(value, Mapping):
        return "a group" if value else "nothing"
    return str(value) if isinstance(value, PurePath | int | float) else repr(value)


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
