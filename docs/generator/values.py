"""The type, range and default of a setting in words."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import AfterValidator, BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from docs.generator.sources import source
from docs.generator.text import code

PLAIN = {bool: "`true`, `false`", int: "whole number", float: "number", str: "text", Path: "path"}
VALIDATED = {
    "norms._known": ", ".join(code(name) for name in source("NORMS")),
    "places.refuse_credentials": "folder or URL",
    "threat._fraction": "number or fraction such as `4/255`",
    "threat._segments": "numbers and ranges such as `0-3+7`",
}
"""What a value may be whose validator says more than its type, by the validator's module and name."""
GREY_LEVELS = 255
OPEN, CLOSE = "\\[", "\\]"
"""Brackets that Markdown does not take for a link's."""


def kind(annotation: object, metadata: Sequence[object] = ()) -> str:
    """The type of a plain value with its range, such as `whole number, 1 or more`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if validated := _validated(metadata):
        return _with_range(validated, annotation, metadata) + (" or unset" if types.NoneType in arguments else "")
    if origin is Annotated:
        return kind(arguments[0], [*arguments[1:], *metadata])
    if origin in (Union, types.UnionType):
        parts = list(dict.fromkeys(kind(each, metadata) for each in arguments if each is not types.NoneType))
        return " or ".join([*parts, *(["unset"] if types.NoneType in arguments else [])])
    if origin is Literal:
        return ", ".join(code(each) for each in arguments)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"list of {len(arguments)}: {', '.join(dict.fromkeys(kind(each) for each in arguments))}"
    if origin in (list, tuple):
        return _with_range(f"list of: {kind(arguments[0])}", annotation, metadata)
    if origin in (dict, Mapping):
        return f"{kind(arguments[0])} to {kind(arguments[1])}"
    if isinstance(annotation, type) and annotation in PLAIN:
        return _with_range(PLAIN[annotation], annotation, metadata)
    return code(getattr(annotation, "__name__", annotation))


def _validated(metadata: Sequence[object]) -> str:
    functions = (each.func for each in metadata if isinstance(each, AfterValidator | BeforeValidator))
    names = (f"{each.__module__.rpartition('.')[2]}.{getattr(each, '__name__', '')}" for each in functions)
    return next((VALIDATED[name] for name in names if name in VALIDATED), "")


def _with_range(text: str, annotation: object, metadata: Sequence[object]) -> str:
    found = _range(annotation, metadata)
    return f"{text}, {found}" if found else text


def _range(annotation: object, metadata: Sequence[object]) -> str:
    if any(isinstance(each, MinLen) for each in metadata):
        return "not empty"
    lows: list[tuple[Any, bool]] = [(each.ge, False) for each in metadata if isinstance(each, Ge)]
    for each in metadata:
        if isinstance(each, Gt):
            above: Any = each.gt
            lows.append((above + 1, False) if annotation is int else (above, True))
    highs: list[tuple[Any, bool]] = [(each.le, False) for each in metadata if isinstance(each, Le)]
    highs += [(each.lt, True) for each in metadata if isinstance(each, Lt)]
    if lows and highs:
        (least, is_above), (most, is_below) = max(lows), min(highs)
        return f"in {'(' if is_above else OPEN}{least:g}, {most:g}{')' if is_below else CLOSE}"
    if lows:
        least, is_above = max(lows)
        return f"greater than {least:g}" if is_above else f"{least:g} or more"
    if highs:
        most, is_below = min(highs)
        return f"less than {most:g}" if is_below else f"{most:g} or less"
    return ""


def default_text(field: FieldInfo, value: object) -> str:
    """The default of a setting as it is typed, `value` being what holds where the setting stands."""
    return "required" if value is None and field.is_required() else short(value)


def short(value: object) -> str:
    """A value as it is typed in YAML; `unset` for none."""
    if value is None:
        return "unset"
    if isinstance(value, BaseModel) and not text_of(value):
        return "as below"
    return code(text_of(value) or '""')


def text_of(value: object) -> str:
    """A value as YAML on one line, a union member by its name and what differs from its defaults."""
    if isinstance(value, BaseModel):
        return str(value) if "__str__" in vars(type(value)) else _member_text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        levels = value * GREY_LEVELS
        is_level = 0 < value < 1 and abs(levels - round(levels)) < 1e-9 and len(repr(value)) > 6
        return f"{round(levels)}/{GREY_LEVELS}" if is_level else f"{value:.6g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(text_of(each) for each in value)}]"
    if value is None:
        return "unset"
    return str(value)


def _member_text(value: BaseModel) -> str:
    fields = type(value).model_fields
    differs = {
        name: getattr(value, name)
        for name, field in fields.items()
        if name != "name" and getattr(value, name) != field.get_default(call_default_factory=True)
    }
    parts = [f"{name}: {text_of(each)}" for name, each in differs.items()]
    tag = getattr(value, "name", None)
    if tag is None:
        return f"{{{', '.join(parts)}}}" if parts else ""
    return f"{{name: {', '.join([str(tag), *parts])}}}" if parts else str(tag)
