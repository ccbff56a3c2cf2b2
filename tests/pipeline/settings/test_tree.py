from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from pipeline.settings.tree import Slot, default_tree, field_slot, keys, step
from preprocessing.settings import Settings, plain


class Left(Settings):
    name: Literal["left"] = "left"
    width: int = 1


class Right(Settings):
    name: Literal["right"] = "right"
    height: int = 2


SIDES: dict[str, type[BaseModel]] = {"left": Left, "right": Right}
AnySide = Annotated[Left | Right, Field(discriminator="name")]


class Tree(Settings):
    needed: int
    side: AnySide = Left()
    perhaps: Left | None = None
    sides: tuple[AnySide, ...] = (Left(), Right())
    by_name: dict[str, Left] = Field(default_factory=dict)


def test_keys_follow_the_members_that_were_chosen() -> None:
    assert set(keys(Tree)) == {
        *("needed", "side", "side.name", "side.width", "perhaps", "sides", "by_name"),
        *("perhaps.name", "perhaps.width"),
        *("sides.0", "sides.0.name", "sides.0.width", "sides.1", "sides.1.name", "sides.1.height"),
    }
    chosen = set(keys(Tree, {"side": {"name": "right"}, "by_name": {"a": {}}, "sides": []}))
    assert {"side.height", "by_name.a", "by_name.a.width"} <= chosen
    assert not {"side.width", "sides.0"} & chosen


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("needed", Slot()),
        ("side", Slot((Left, Right), "name")),
        ("perhaps", Slot((Left,))),
        ("sides", Slot(item=AnySide, is_sequence=True)),
        ("by_name", Slot(item=Left)),
    ],
)
def test_a_slot_says_what_may_stand_in_a_field(field: str, expected: Slot) -> None:
    assert field_slot(Tree.model_fields[field]) == expected


def test_a_union_chooses_by_its_tag() -> None:
    place = field_slot(Tree.model_fields["side"])
    assert place.members == SIDES
    assert place.chosen({"name": "right"}) is Right
    assert place.chosen({"name": "up"}) is None
    assert place.chosen("text") is None


def test_a_step_goes_into_lists_dicts_and_classes() -> None:
    values = {"sides": [{"name": "right", "height": 5}], "by_name": {"a": {"width": 3}}}
    place, value = Slot((Tree,)), values
    sides, inside = step(place, value, "sides")
    first, below = step(sides, inside, "0")
    assert first.members == SIDES
    assert step(first, below, "height") == (Slot(), 5)
    assert step(sides, inside, "7")[1] is None
    by_name, inside = step(place, value, "by_name")
    assert step(by_name, inside, "a") == (Slot((Left,)), {"width": 3})


def test_defaults_and_values_become_plain_data() -> None:
    assert default_tree(Tree.model_fields["needed"]) == {}
    assert default_tree(Tree.model_fields["side"]) == {"name": "left", "width": 1}
    assert plain({"a": (Left(), [Right()])}) == {"a": [{"name": "left", "width": 1}, [{"name": "right", "height": 2}]]}
