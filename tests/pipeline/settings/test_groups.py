"""Settings and their groups by key, in every member of every union."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from pipeline.settings.groups import find, walk, whole
from preprocessing.errors import SettingsError
from preprocessing.settings import Settings


class Flat(Settings):
    name: Literal["flat"] = "flat"
    width: int = 1
    """Of the flat one."""


class Tall(Settings):
    name: Literal["tall"] = "tall"
    width: int = 2
    """Of the tall one."""
    height: int = 3
    """Of the tall one alone."""


AnyShape = Annotated[Flat | Tall, Field(discriminator="name")]


class Drawing(Settings):
    shape: AnyShape = Flat()
    """One."""
    shapes: tuple[AnyShape, ...] = ()
    """Several."""
    by_name: dict[str, Tall] = Field(default_factory=dict)
    """Named ones."""


def test_every_setting_of_every_member_is_walked_once_per_member() -> None:
    keys = [entry.key for entry in walk(Drawing)]
    assert keys.count("shape.width") == keys.count("shapes.width") == 2
    assert keys.count("shape.height") == keys.count("by_name.height") == 1
    assert [entry.key for entry in walk(Drawing) if entry.is_group] == ["shape", "shapes", "by_name"]
    assert {entry.key for entry in walk(Drawing) if entry.is_tag} == {"shape.name", "shapes.name", "by_name.name"}


def test_the_whole_has_the_parts_of_its_class() -> None:
    ((owner, entries),) = whole(Drawing).parts
    assert owner is Drawing
    assert [entry.key for entry in entries] == ["shape", "shapes", "by_name"]


@pytest.mark.parametrize(
    ("key", "owners"),
    [
        ("shape.width", {Flat, Tall}),
        ("shape.height", {Tall}),
        ("shapes.3.height", {Tall}),
        ("shapes.height", {Tall}),
        ("by_name.any_key.height", {Tall}),
        ("by_name.height", {Tall}),
    ],
)
def test_a_key_leads_to_the_settings_of_all_members_that_have_it(key: str, owners: set[type[Settings]]) -> None:
    assert {entry.owner for entry in find(Drawing, key)} == owners


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"shape\.hieght: unknown setting; the nearest is 'shape\.height'"):
        find(Drawing, "shape.hieght")
