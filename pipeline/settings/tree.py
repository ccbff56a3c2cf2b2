"""The tree of settings: classes, dotted keys and union members of a config class.

A config is a tree of frozen pydantic classes. A field may hold one class, one of several told apart by a field such as
`name` (a discriminated union), a list or a dict of them, or a plain value.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from preprocessing.settings import plain


@dataclass(frozen=True)
class Slot:
    """The classes or values allowed at one place of the tree."""

    classes: tuple[type[BaseModel], ...] = ()
    discriminator: str | None = None
    """The field that tells `classes` apart, when there are several."""
    item: object = None
    """Annotation of the elements, when a list, tuple or dict stands here."""
    is_sequence: bool = False

    @property
    def members(self) -> dict[str, type[BaseModel]]:
        """The classes of a discriminated union by their tag."""
        if self.discriminator is None:
            return {}
        return {
            str(tag): each
            for each in self.classes
            for tag in get_args(each.model_fields[self.discriminator].annotation)
        }

    def chosen(self, value: object) -> type[BaseModel] | None:
        """The class that `value` (a mapping) is meant for; None when its tag names none."""
        if self.discriminator is None:
            return self.classes[0] if self.classes else None
        return self.members.get(str(value.get(self.discriminator))) if isinstance(value, Mapping) else None


def field_slot(field: FieldInfo) -> Slot:
    """The slot of `field`."""
    discriminator = field.discriminator if isinstance(field.discriminator, str) else None
    return slot(field.annotation, discriminator)


def slot(annotation: object, discriminator: str | None = None) -> Slot:
    """The slot of a type annotation."""
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Annotated:
        named = [each.discriminator for each in arguments[1:] if isinstance(each, FieldInfo)]
        return slot(arguments[0], next((each for each in named if isinstance(each, str)), discriminator))
    if origin in (Union, types.UnionType):
        parts = [slot(each, discriminator) for each in arguments if each is not types.NoneType]
        classes = tuple(each for part in parts for each in part.classes)
        return Slot(classes, discriminator) if classes else next((each for each in parts if each.item), Slot())
    if origin in (list, tuple):
        return Slot(item=arguments[0], is_sequence=True)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return Slot(item=arguments[1])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Slot((annotation,))
    return Slot()


def keys(config_class: type[BaseModel], tree: object = None, prefix: str = "") -> Iterator[str]:
    """Every dotted key that can be set in `config_class`, groups included.

    Where a union stands, `tree` (the values given so far) or else the field's default chooses the member.
    """
    given = tree if isinstance(tree, Mapping) else {}
    for name, field in config_class.model_fields.items():
        yield prefix + name
        value = given.get(name, default_tree(field))
        yield from _below(field_slot(field), value, f"{prefix}{name}.")


def _below(place: Slot, value: object, prefix: str) -> Iterator[str]:
    if place.is_sequence:
        for number, each in enumerate(value if isinstance(value, list | tuple) else ()):
            yield f"{prefix}{number}"
            yield from _below(slot(place.item), each, f"{prefix}{number}.")
    elif place.item is not None:
        for name, each in (value if isinstance(value, Mapping) else {}).items():
            yield f"{prefix}{name}"
            yield from _below(slot(place.item), each, f"{prefix}{name}.")
    elif chosen := place.chosen(value):
        yield from keys(chosen, value, prefix)


def step(place: Slot, value: object, key: str | int) -> tuple[Slot, object]:
    """The slot and the value one level down: under `key` of `value`, which stands at `place`."""
    below: object = None
    if isinstance(value, Mapping):
        below = value.get(key)
    elif isinstance(value, list | tuple) and str(key).isdigit() and int(key) < len(value):
        below = value[int(key)]
    if place.item is not None:
        return slot(place.item), below
    chosen = place.chosen(value)
    field = chosen.model_fields.get(str(key)) if chosen else None
    return (field_slot(field) if field else Slot()), below


def default_tree(field: FieldInfo) -> Any:
    """The default of `field` as plain values; an empty mapping when it has none."""
    if field.is_required() or field.default_factory_takes_validated_data:
        return {}
    return plain(field.get_default(call_default_factory=True))
