"""Kinetics-Sounds in every layout found in the wild gives the same listing. Files are empty: only names are read."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocessing.datasets import KineticsSounds, Video
from preprocessing.datasets.base import Shares
from preprocessing.datasets.class_lists import load_class_list
from tests.preprocessing.datasets.kinetics_layouts import (
    CLIPS,
    EXPECTED,
    HEADER,
    Layout,
    class_folders_with_spaces,
    every_layout,
    flat_with_one_csv,
    row,
    told,
    touch,
)

MISSING = ("train", "singing", "-gone_____-_000003_000013")


def exists(dataset: KineticsSounds, video: Video) -> bool:
    return any((root / video.source).exists() for root in dataset.roots)


@every_layout
def test_every_layout_gives_the_same_listing(layout: Layout, tmp_path: Path) -> None:
    layout(tmp_path)
    dataset = KineticsSounds(root=tmp_path)
    listing = dataset.listing()
    assert told(listing) == EXPECTED
    assert (listing.rejected, listing.accounting.num_left_out("not_chosen")) == ((), 0)
    assert all(exists(dataset, video) for video in listing.videos)
    assert listing.classes == load_class_list("ks31").names


@every_layout
def test_a_tree_shared_out_over_two_roots_gives_the_same_listing(layout: Layout, tmp_path: Path) -> None:
    """Whichever files lie where, sources are named alike: the plan does not change when videos move between disks."""
    whole = tmp_path / "whole"
    layout(whole)
    expected = KineticsSounds(root=whole).listing()
    one, two = shutil.copytree(whole, tmp_path / "one"), tmp_path / "two"
    for video in expected.videos[::2]:
        (two / video.source).parent.mkdir(parents=True, exist_ok=True)
        (one / video.source).rename(two / video.source)
    shared = KineticsSounds(root=(one, two)).listing()
    assert shared.videos == KineticsSounds(root=(two, one)).listing().videos == expected.videos


@given(order=st.permutations(range(8)), first=st.sets(st.integers(0, 7)))
@settings(max_examples=25, deadline=None)
def test_the_listing_does_not_depend_on_the_order_of_the_files(order: list[int], first: set[int]) -> None:
    """Nor on how they are divided over two roots; two of the eight files have the same name."""
    names = [f"{split}/{label}/{stem}.mp4" for split, label, stem in CLIPS]
    names += [
        f"copies/{CLIPS[0][2]}.mp4",
        "train/singing/-abcdefghi-_000000_000010.mp4",
        "tickling/loose______.mp4",
        "bad.mp4",
    ]
    with tempfile.TemporaryDirectory() as folder:
        whole, one, two = (Path(folder, name) for name in ("whole", "one", "two"))
        one.mkdir()
        two.mkdir()
        for index in order:
            touch(whole, names[index])
            touch(one if index in first else two, names[index])
        expected = KineticsSounds(root=whole).listing()
        shared = KineticsSounds(root=(one, two)).listing()
    assert shared.videos == expected.videos
    assert [video.key for video in expected.videos] == sorted(video.key for video in expected.videos)
    assert len(expected.videos) == 5
    assert [(each.file, each.reason) for each in expected.rejected] == [
        ("bad.mp4", "bad_name"),
        (f"copies/{CLIPS[0][2]}.mp4", "duplicate"),
        ("tickling/loose______.mp4", "bad_name"),
    ]
    assert [each.file for each in shared.rejected] == [each.file for each in expected.rejected]


def test_labels_do_not_depend_on_which_files_there_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class_folders_with_spaces(tmp_path)
    shutil.rmtree(tmp_path / "train/playing piano")
    shutil.rmtree(tmp_path / "val")
    with caplog.at_level(logging.WARNING):
        listing = KineticsSounds(root=tmp_path).listing()
    assert told(listing) == {each for each in EXPECTED if each[2] == "singing"}
    assert len(listing.classes) == 31
    assert "30 of 31 classes have no clip: 'blowing nose', 'blowing out candles', " in caplog.text


def test_another_class_list_gives_other_labels(tmp_path: Path) -> None:
    class_folders_with_spaces(tmp_path)
    for classes, label in (("ks27", 2), ("ks34", 5), (("tickling", "singing"), 1)):
        listing = KineticsSounds.model_validate({"root": tmp_path, "classes": classes}).listing()
        assert {video.label for video in listing.videos if video.class_name == "singing"} == {label}
    assert listing.classes == ("tickling", "singing")
    assert len(listing.videos) == listing.accounting.num_left_out("not_chosen") == 2


def test_an_annotated_clip_without_a_file_is_still_listed(tmp_path: Path) -> None:
    """It is recorded as `missing_file` when its turn comes."""
    flat_with_one_csv(tmp_path)
    with (tmp_path / "annotations/all.csv").open("a") as stream:
        stream.write(row(*MISSING))
    dataset = KineticsSounds(root=tmp_path)
    (missing,) = [video for video in dataset.listing().videos if not exists(dataset, video)]
    assert (missing.key, missing.source) == (MISSING[2], Path(f"train/{MISSING[2]}.mp4"))


def test_other_names_and_double_files_are_rejected_by_name(tmp_path: Path) -> None:
    class_folders_with_spaces(tmp_path)
    good = CLIPS[0][2]
    bad = (
        "has space 00_000000_000010",
        "short_000000_000010",
        "endB4Start0_000020_000010",
        "ünïcødé_名前_000000_000010",
    )
    touch(tmp_path, *(f"train/singing/{stem}.mp4" for stem in bad), f"train/copies/{good}.mp4", "train/singing/.x.mp4")
    listing = KineticsSounds(root=tmp_path).listing()
    assert told(listing) == EXPECTED
    assert sorted((rejection.reason, Path(rejection.file).stem) for rejection in listing.rejected) == sorted(
        [*(("bad_name", stem) for stem in bad), ("duplicate", good)]
    )


def test_files_with_an_id_alone_belong_to_their_annotation(tmp_path: Path) -> None:
    """Without one nobody knows which of a video's seconds they hold."""
    touch(tmp_path, "singing/_9pC6FvYj3w.mp4", "test/singing/abcdefghijk.mp4")
    (tmp_path / "test.csv").write_text(HEADER + row("test", "tickling", "abcdefghijk_000007_000017"))
    listing = KineticsSounds(root=tmp_path, shares=Shares(validation=0, test=0), validation_share=0).listing()
    assert told(listing) == {("test", 30, "tickling", "abcdefghijk_000007_000017")}
    (rejection,) = listing.rejected
    assert (rejection.file, rejection.reason) == ("singing/_9pC6FvYj3w.mp4", "bad_name")


def test_without_validation_clips_some_training_clips_become_some(tmp_path: Path) -> None:
    """Clips of one YouTube video go together."""
    stems = [f"{index:04d}_______" for index in range(200)]
    touch(tmp_path, *(f"train/singing/{stem}_{start:06d}_000099.mp4" for stem in stems for start in (1, 20)))
    videos = KineticsSounds(root=tmp_path).listing().videos
    chosen = {video.key[:11] for video in videos if video.split == "validation"}
    assert 8 <= len(chosen) <= 35
    assert not chosen & {video.key[:11] for video in videos if video.split == "train"}


def test_a_clip_without_a_split_joins_the_split_of_its_video(tmp_path: Path) -> None:
    """By its id alone it would be shared out: 100 videos of two clips would not all stay whole."""
    ids = [f"{index:04d}_______" for index in range(100)]
    touch(tmp_path, *(f"train/singing/{each}_000000_000010.mp4" for each in ids))
    touch(tmp_path, *(f"singing/{each}_000010_000020.mp4" for each in ids))
    videos = KineticsSounds(root=tmp_path, validation_share=0).listing().videos
    assert len(videos) == 200
    assert {video.split for video in videos} == {"train"}


def test_an_empty_folder_is_the_users_mistake(tmp_path: Path) -> None:
    touch(tmp_path, "somewhere/else.mp4", "abcdefghijk.mp4")
    with pytest.raises(
        ValueError, match=r"holds no clip of a chosen class: 2 video files, 1 with a bad name .*Expected"
    ):
        KineticsSounds(root=tmp_path).listing()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("singing,abcdefghijk,soon,later,train", r"train\.csv' line 2: times must be numbers"),
        ("singing,#NAME?,0,10,train", r"'train\.csv' line 2: '#NAME\?' is no YouTube id"),
        ("singing", r"train\.csv' line 2: expected 5 cells separated by ',' as in the header, got 1: 'singing'"),
    ],
)
def test_broken_annotations_are_named_with_their_line(line: str, message: str, tmp_path: Path) -> None:
    class_folders_with_spaces(tmp_path)
    (tmp_path / "train.csv").write_text(f"{HEADER}{line}\n")
    with pytest.raises(ValueError, match=message):
        KineticsSounds(root=tmp_path).listing()


def test_an_annotation_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'.*none\.csv' does not exist"):
        KineticsSounds(root=tmp_path, annotations=(tmp_path / "none.csv",)).listing()


def test_other_tables_beside_the_videos_are_ignored(tmp_path: Path) -> None:
    class_folders_with_spaces(tmp_path)
    (tmp_path / "notes.csv").write_text("who,what\nme,this\n")
    assert told(KineticsSounds(root=tmp_path).listing()) == EXPECTED
