"""How clips are named, and what a list says about one."""

from __future__ import annotations

from pathlib import Path

import pytest

from preprocessing.datasets.entries import Entry, clip_name, named_clip, split_of_file


@pytest.mark.parametrize(
    ("name", "youtube_id", "times"),
    [
        ("--4-0ihtnBU_000058_000068", "--4-0ihtnBU", (58, 68)),
        ("__________-_000120_000130", "__________-", (120, 130)),
        ("_9pC6FvYj3w", "_9pC6FvYj3w", None),
    ],
)
def test_a_name_is_read_from_its_end_and_written_back(
    name: str, youtube_id: str, times: tuple[int, int] | None
) -> None:
    match = named_clip(name)
    assert match is not None
    assert match["id"] == youtube_id
    assert (None if times is None else (int(match["start"]), int(match["end"]))) == times
    assert clip_name(youtube_id, times) == name


@pytest.mark.parametrize(
    "name", ["short", "abcdefghijk_000010_000010", "abcdefghijk_10_20", "abc efghijk", "абвгдежзийк"]
)
def test_other_names_are_no_clips(name: str) -> None:
    assert named_clip(name) is None


def test_an_entry_without_a_youtube_id_tells_where_it_stands() -> None:
    with pytest.raises(ValueError, match=r"'train\.csv' line 7: '#NAME\?' is no YouTube id"):
        Entry("#NAME?", None, "singing", "train", "'train.csv' line 7")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("ks_train_overlap.txt", "train"),
        ("val_kinetics.csv", "validation"),
        ("TEST.csv", "test"),
        ("kinetics.csv", None),
        ("train_and_test.csv", None),
    ],
)
def test_a_files_name_tells_its_split(name: str, split: str | None) -> None:
    assert split_of_file(Path(name)) == split
