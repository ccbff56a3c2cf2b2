"""Tables of settings: every dotted key with its type, range, default and explanation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs.generator.sources import configs, source
from docs.generator.text import cell, code, prose, table
from docs.generator.values import default_text, kind

UNIONS = {
    "AnyAttack": ("attack", "attacks.md"),
    "AnyDataset": ("data set", "datasets.md"),
    "AnyDistribution": ("distribution", "settings.md#distributions"),
    "AnyInputTransform": ("input transformation", "attacks.md#input-transformations"),
    "AnyObjective": ("objective", "objectives.md"),
    "AnySchedule": ("schedule", "schedules.md"),
}
"""What a member of each union is called, and the page that describes all members."""
HEADINGS = ("setting", "type and range", "default", "explanation")


@dataclass(frozen=True)
class Row:
    """One setting."""

    key: str
    kind: str
    default: str
    explanation: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of a table."""
        return code(self.key), self.kind, self.default, self.explanation


def settings_table(config_class: type[BaseModel], default: BaseModel | None = None) -> str:
    """Every setting of a class, groups opened; `default` holds the values that are not the class's own."""
    rows = list(settings_rows(config_class, default=default))
    return table(HEADINGS, [row.cells for row in rows]) if rows else "No settings of its own."


def settings_rows(config_class: type[BaseModel], prefix: str = "", default: BaseModel | None = None) -> Iterator[Row]:
    """A row per setting and group below `prefix`; where members of a union stand, a link to their own page."""
    for name, field in config_class.model_fields.items():
        if is_tag(name, field):
            continue
        value = getattr(default, name) if default is not None else default_of(field)
        yield from _rows(f"{prefix}{name}", field, value)


def _rows(key: str, field: FieldInfo, value: object) -> Iterator[Row]:
    place = source("field_slot")(field)
    item = source("slot")(place.item) if place.item is not None else place
    if (called := union_name(item.classes)) and len(item.classes) > 1:
        many = "" if place.item is None else ("list of: " if place.is_sequence else "mapping of a dotted setting to: ")
        yield Row(key, f"{many}{called}", default_text(field, value), cell(field.description))
    elif len(item.classes) == 1:
        [group] = item.classes
        yield from _group_rows(key, field, group, value, is_list=place.item is not None)
    else:
        annotation = kind(field.annotation, field.metadata)
        yield Row(key, annotation, default_text(field, value), cell(field.description))


def _group_rows(key: str, field: FieldInfo, group: type[BaseModel], value: object, *, is_list: bool) -> Iterator[Row]:
    command = {each: name for name, each in configs().items()}.get(group)
    optional = " or unset" if type(None) in get_args(field.annotation) else ""
    explanation = cell(field.description)
    if command:
        yield Row(f"{key}.*", f"[settings of `{command}`](settings.md#{command})", "", explanation)
        return
    kind_of_group = ("list of groups" if is_list else "group") + optional
    yield Row(key, kind_of_group, default_text(field, value), explanation)
    inner = value if isinstance(value, group) else None
    yield from settings_rows(group, prefix=f"{key}.{'N.' if is_list else ''}", default=inner)


def is_tag(name: str, field: FieldInfo) -> bool:
    """Whether a field only names the member that it belongs to."""
    return name == "name" and len(get_args(field.annotation)) == 1


def default_of(field: FieldInfo) -> object:
    """The class's own default; None if there is none."""
    return None if field.is_required() else field.get_default(call_default_factory=True)


def members(union: str) -> dict[str, type[Any]]:
    """The classes of a union by name, in order of their names."""
    found: dict[str, type[Any]] = source("slot")(source(union)).members
    return dict(sorted(found.items()))


@cache
def union_name(classes: tuple[type[BaseModel], ...]) -> str:
    """What these members of a union are, with a link to their page; empty if they belong to none."""
    for union, (word, page) in UNIONS.items():
        known = members(union)
        if set(classes) == set(known.values()):
            return f"any [{word}]({page})"
        if classes and set(classes) <= set(known.values()):
            return f"[{word}]({page}): {', '.join(code(name) for name, each in known.items() if each in classes)}"
    return ""


def command_settings() -> str:
    """A section per command that has settings."""
    return "\n\n".join(
        f"## {command}\n\n{prose(config_class.__doc__)}\n\n{settings_table(config_class)}"
        for command, config_class in configs().items()
    )


def group_table(name: str) -> str:
    """The settings of one shared group."""
    return settings_table(source(name))


def fields_table(name: str) -> str:
    """The fields of something that is stored, with their meaning."""
    fields: dict[str, FieldInfo] = source(name).model_fields
    rows = [
        (code(each), kind(field.annotation, field.metadata), cell(field.description)) for each, field in fields.items()
    ]
    return table(("field", "type and range", "meaning"), rows)
