"""The groups of a command's settings by dotted key, every member of every union: what `--help GROUP` tells of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.settings.problems import nearest
from pipeline.settings.tree import Slot, field_slot, slot
from preprocessing.errors import SettingsError

ANY_KEY = "KEY"
"""Stands for the keys that the user chooses, such as the settings that a search varies."""


@dataclass(frozen=True)
class Entry:
    """A setting or a group of them, as one class has it."""

    key: str
    """As it is typed."""
    field: FieldInfo | None
    """None for the whole, and for an entry of a list."""
    place: Slot
    """The classes allowed here; of a list or a dict of groups, those allowed in an entry of it."""
    owner: type[BaseModel] | None = None
    """The class that has the setting."""

    @property
    def is_group(self) -> bool:
        """Whether settings lie below it."""
        return bool(self.place.classes)

    @property
    def is_tag(self) -> bool:
        """Whether it says which member of a union stands in its group."""
        return self.field is not None and self.key.rpartition(".")[2] == "name" and self.field.description is None

    @property
    def parts(self) -> tuple[tuple[type[BaseModel], tuple[Entry, ...]], ...]:
        """The settings below it, by the class that has them: one, or all members of a union."""
        return tuple(
            (
                each,
                tuple(_entry(self.key, name, field, each) for name, field in each.model_fields.items()),
            )
            for each in self.place.classes
        )


def whole(config_class: type[BaseModel]) -> Entry:
    """All settings of a command."""
    return Entry("", None, Slot((config_class,)))


def find(config_class: type[BaseModel], key: str) -> list[Entry]:
    """Find the settings under a dotted key: one entry, or one for each union member that has its own.

    Entries of lists and dicts may be numbered or named (`attacks.0.steps`), or left out (`attacks.steps`).

    Raises:
        SettingsError: if there is nothing; it names the nearest.
    """
    found = [whole(config_class)]
    for part in key.split("."):
        below = [child for entry in found for child in _below(entry, part)]
        if not below:
            known = [entry.key for entry in walk(config_class)]
            meant = nearest(key, known) or next(each for each in known if "." not in each)
            raise SettingsError(f"{key}: unknown setting; the nearest is '{meant}'")
        found = below
    return _distinct(found)


def walk(config_class: type[BaseModel]) -> Iterator[Entry]:
    """Every setting and group, of all members of all unions; a class inside itself is entered once."""
    yield from _walk(whole(config_class), ())


def _walk(entry: Entry, above: tuple[type[BaseModel], ...]) -> Iterator[Entry]:
    for each, children in entry.parts:
        if each in above:
            continue
        for child in children:
            yield child
            yield from _walk(child, (*above, each))


def _below(entry: Entry, part: str) -> list[Entry]:
    children = [child for _, entries in entry.parts for child in entries if _last(child.key) == part]
    if children:
        return children
    is_numbered = part.isdigit() and entry.field is not None and field_slot(entry.field).is_sequence
    takes_names = entry.field is not None and _is_dict(field_slot(entry.field))
    return [entry] if is_numbered or takes_names else []


def _entry(group: str, name: str, field: FieldInfo, owner: type[BaseModel]) -> Entry:
    place = field_slot(field)
    while place.item is not None:
        place = slot(place.item)
    return Entry(f"{group}.{name}" if group else name, field, place, owner)


def _is_dict(place: Slot) -> bool:
    return place.item is not None and not place.is_sequence


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _distinct(entries: list[Entry]) -> list[Entry]:
    """Without those that say the same of the same classes."""
    seen: dict[object, Entry] = {}
    for entry in entries:
        text = entry.field.description if entry.field else ""
        seen.setdefault((entry.place.classes, text, repr(entry.field.default) if entry.field else ""), entry)
    return list(seen.values())
