from __future__ import annotations

import pytest

from preprocessing.errors import DataError
from preprocessing.storage.migrations import Record, migrated


def to_2(record: Record) -> Record:
    return {**record, "colour": "unknown"}


def to_3(record: Record) -> Record:
    return {name.replace("colour", "color"): value for name, value in record.items()}


def test_a_record_goes_through_every_step_after_its_version() -> None:
    steps = {1: to_2, 2: to_3}
    assert migrated({"format_version": 1}, to=3, steps=steps, what="it") == {"format_version": 3, "color": "unknown"}
    second = {"format_version": 2, "colour": "red"}
    assert migrated(second, to=3, steps=steps, what="it") == {"format_version": 3, "color": "red"}
    assert second == {"format_version": 2, "colour": "red"}


def test_a_record_of_today_stays_as_it_is() -> None:
    assert migrated({"format_version": 3, "x": 1}, to=3, steps={2: to_3}, what="it") == {"format_version": 3, "x": 1}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            {"format_version": 4},
            "'x' has format version 4, this code reads 2 to 3: a later version of this project wrote",
        ),
        ({"format_version": 1}, "'x' has format version 1, this code reads 2 to 3: make it again"),
        ({"format_version": "2"}, "'x' is damaged: it does not say its format version"),
        ({}, "'x' is damaged: it does not say its format version"),
        ([], "'x' is damaged: it does not say its format version"),
    ],
)
def test_what_cannot_be_read_is_refused(record: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        migrated(record, to=3, steps={2: to_3}, what="'x'")


def test_one_version_alone_is_named_alone() -> None:
    with pytest.raises(DataError, match="has format version 1, this code reads 2: make it again"):
        migrated({"format_version": 1}, to=2, steps={}, what="'x'")
