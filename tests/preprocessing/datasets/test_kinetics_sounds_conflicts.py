"""Files and annotations of Kinetics-Sounds that contradict each other: each is told, none is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from preprocessing.datasets import KineticsSounds
from tests.preprocessing.datasets.kinetics_layouts import (
    CLIPS,
    EXPECTED,
    HEADER,
    Layout,
    class_folders_above_splits,
    class_folders_with_spaces,
    flat_with_one_csv,
    row,
    told,
    touch,
)


def test_a_clip_in_two_roots_is_a_duplicate(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    class_folders_with_spaces(one)
    class_folders_above_splits(two)
    listing = KineticsSounds(root=(one, two)).listing()
    assert told(listing) == EXPECTED
    assert {rejection.reason for rejection in listing.rejected} == {"duplicate"}
    details = {rejection.file: rejection.detail for rejection in listing.rejected}
    first, second = "train/singing/__________-_000120_000130.mp4", "Singing/train/__________-_000120_000130.webm"
    assert details[first] == f"root 2 of 2: '{second}' has the same name"
    assert len(details) == 4


def test_a_replacement_wins_over_the_broken_original(tmp_path: Path) -> None:
    class_folders_with_spaces(tmp_path)
    touch(tmp_path, f"replacement/replacement_for_corrupted_k400/{CLIPS[0][2]}.mp4")
    listing = KineticsSounds(root=tmp_path).listing()
    assert told(listing) == EXPECTED
    (source,) = [video.source for video in listing.videos if video.key == CLIPS[0][2]]
    assert "replacement" in source.parts
    assert listing.rejected == ()


def test_a_video_under_two_classes_is_left_out_by_name(tmp_path: Path) -> None:
    flat_with_one_csv(tmp_path)
    (tmp_path / "more.csv").write_text(HEADER + row("train", "laughing", CLIPS[0][2]))
    listing = KineticsSounds(root=tmp_path).listing()
    assert told(listing) == {each for each in EXPECTED if each[3] != CLIPS[0][2]}
    (rejection,) = listing.rejected
    assert (rejection.file, rejection.reason) == (f"{CLIPS[0][2]}.mp4", "several_classes")
    assert rejection.detail == "'laughing' ('more.csv' line 2), 'playing piano' ('all.csv' line 2)"


def test_a_clip_in_the_folders_of_two_classes_is_left_out_by_name(tmp_path: Path) -> None:
    class_folders_with_spaces(tmp_path)
    touch(tmp_path, f"train/laughing/{CLIPS[0][2]}.mp4")
    listing = KineticsSounds(root=tmp_path).listing()
    assert told(listing) == {each for each in EXPECTED if each[3] != CLIPS[0][2]}
    assert [(rejection.file, rejection.reason) for rejection in listing.rejected] == [
        (f"train/playing piano/{CLIPS[0][2]}.mp4", "duplicate"),
        (f"train/laughing/{CLIPS[0][2]}.mp4", "several_classes"),
    ]


def in_folders(root: Path) -> None:
    touch(root, "train/singing/abcdefghijk_000000_000010.mp4", "test/singing/abcdefghijk_000020_000030.mp4")


def in_folders_under_one_name(root: Path) -> None:
    touch(root, *(f"{split}/singing/abcdefghijk_000000_000010.mp4" for split in ("train", "test")))


def in_annotations(root: Path) -> None:
    touch(root, "abcdefghijk_000000_000010.mp4")
    for split, start in (("train", "000000"), ("test", "000020")):
        (root / f"{split}.csv").write_text(HEADER + row(split, "singing", f"abcdefghijk_{start}_000030"))


def in_an_annotation_and_a_folder(root: Path) -> None:
    touch(root, "test/singing/abcdefghijk_000000_000010.mp4")
    (root / "train.csv").write_text(HEADER + row("train", "singing", "abcdefghijk_000020_000030"))


@pytest.mark.parametrize(
    "layout",
    [in_folders, in_folders_under_one_name, in_annotations, in_an_annotation_and_a_folder],
    ids=lambda layout: str(layout.__name__),
)
def test_a_youtube_video_in_two_splits_is_an_error(layout: Layout, tmp_path: Path) -> None:
    class_folders_with_spaces(tmp_path)
    layout(tmp_path)
    message = (
        r"1 YouTube video lies in several splits.*Take each out of all but one .*'abcdefghijk': t.+ \('t.+\), t.+ \('t"
    )
    with pytest.raises(ValueError, match=f"(?s){message}"):
        KineticsSounds(root=tmp_path).listing()
