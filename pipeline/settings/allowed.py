"""The values that a setting takes, in words."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import JsonValue
from pydantic.fields import FieldInfo

from pipeline.settings.yaml_text import one_line

_PLAIN: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    types.NoneType: "null",
}
_BOUNDS = {"gt": "above", "ge": "from", "lt": "below", "le": "to", "min_length": "at least", "max_length": "at most"}


def allowed(field: FieldInfo) -> str:
    """The values that a setting may have, in words: its kind and its bounds."""
    return _with_bounds(_kind(field.annotation), field.metadata)


def _kind(annotation: object) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if annotation is JsonValue:
        return "any value"
    if origin is Annotated:
        return _with_bounds(_kind(arguments[0]), arguments[1:])
    if origin is Literal:
        return ", ".join(map(one_line, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_kind, arguments)))
    if origin in (list, tuple):
        kinds = dict.fromkeys(_kind(each) for each in arguments if each is not Ellipsis)
        return f"a list, each {' or '.join(kinds)}"
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return "{key: value} pairs"
    if isinstance(annotation, type) and issubclass(annotation, PurePath):
        return "a path"
    return str(getattr(annotation, "__name__", "any value"))


def _with_bounds(kind: str, metadata: Sequence[object]) -> str:
    limits = [limit for each in metadata for limit in (each.metadata if isinstance(each, FieldInfo) else [each])]
    bounds = [
        f"{word} {getattr(each, name):g}"
        for each in limits
        for name, word in _BOUNDS.items()
        if isinstance(getattr(each, name, None), int | float)
    ]
    return f"{kind}, {' '.join(bounds)}" if bounds else kind
