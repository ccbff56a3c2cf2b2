"""Layouts of folders: each gives the account of all its files, or an error with both readings and what decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from preprocessing.datasets import Folder, KineticsSounds, Listing
from preprocessing.datasets.layouts import SHAPES, Layout, place

ALL_TRAIN = {"shares": {"validation": 0, "test": 0}}
ID = "abcdefghijk_000000_000010"


def tree(root: Path, files: Sequence[str]) -> Path:
    """Empty files; `a -> b` is a link at `a`, relative to its folder."""
    for each in files:
        name, _, target = each.partition(" -> ")
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if target:
            (root / name).symlink_to(target)
        else:
            (root / name).touch()
    return root


def told(listing: Listing) -> Counter[str]:
    return Counter(f"{video.split}/{video.class_name}" for video in listing.videos)


READ: dict[str, tuple[Sequence[str], Mapping[str, Any], Mapping[str, int], Mapping[str, int]]] = {
    # files, settings, used by split and class, left out by reason
    "class folders": (["a/1.mp4", "b/1.mp4"], {}, {"train/a": 1, "train/b": 1}, {}),
    "split folders": (
        ["train/a/1.mp4", "val/b/2.mp4", "test/a/3.mp4"],
        {},
        {"train/a": 1, "validation/b": 1, "test/a": 1},
        {},
    ),
    "splits with a size": (["train_256/a/1.mp4", "val_256/a/2.mp4"], {}, {"train/a": 1, "validation/a": 1}, {}),
    "class, then split": (
        ["a/train/1.mp4", "a/test/2.mp4", "b/train/3.mp4"],
        {},
        {"train/a": 1, "test/a": 1, "train/b": 1},
        {},
    ),
    "a class named train, decided": (
        ["train/1.mp4", "car/1.mp4", "bus/1.mp4"],
        {"layout": "class_folders"},
        {"train/train": 1, "train/car": 1, "train/bus": 1},
        {},
    ),
    "a folder beside the splits, decided": (
        ["train/a/1.mp4", "test/a/2.mp4", "extra/3.mp4"],
        {"layout": "split_folders"},
        {"train/a": 1, "test/a": 1},
        {"no_split_folder": 1},
    ),
    "a video beside the classes of a split": (
        ["train/a/1.mp4", "train/2.mp4"],
        {},
        {"train/a": 1},
        {"no_class_folder": 1},
    ),
    "split folders below classes that say nothing, decided": (
        ["a/train/1.mp4", "a/2.mp4"],
        {"layout": "class_folders"},
        {"train/a": 2},
        {},
    ),
    "one class on purpose": (["data/a/1.mp4"], {"layout": "class_folders"}, {"train/data": 1}, {}),
    "deeper folders": (["a/x/1.mp4", "a/y/2.mp4", "b/3.mp4"], {}, {"train/a": 2, "train/b": 1}, {}),
    "trash, recycle bin and checkpoints": (
        ["a/1.mp4", ".Trash-1000/files/2.mp4", "$RECYCLE.BIN/3.mp4", "a/.ipynb_checkpoints/1.mp4", "__MACOSX/a/1.mp4"],
        {},
        {"train/a": 1},
        {"system_folder": 4},
    ),
    "hidden files": (["a/1.mp4", "a/._1.mp4"], {}, {"train/a": 1}, {"hidden": 1}),
    "endings of the containers that are read": (
        ["a/1.m4v", "a/2.3gp", "a/3.MOV", "a/4.webm", "a/5.ts"],
        {},
        {"train/a": 5},
        {},
    ),
    "other containers beside good ones": (
        [*(f"a/{n}.{ending}" for n, ending in enumerate(["flv", "mpg", "wmv", "mts", "ogv"])), "a/good.mp4"],
        {},
        {"train/a": 1},
        {"other_container": 5},
    ),
    "a class that is not wanted": (["a/1.mp4", "b/1.flv"], {"classes": ("a",)}, {"train/a": 1}, {"not_chosen": 1}),
    "one name with composed and decomposed accents, and with a space": (
        ["cafe\u0301/1.mp4", "caf\u00e9/1.mp4", "caf\u00e9 /2.mp4", "tea/1.mp4"],
        {},
        {"train/caf\u00e9": 3, "train/tea": 1},
        {},
    ),
    "a linked class": (
        ["store/a/1.mp4", "videos/a -> ../store/a", "videos/b/1.mp4"],
        {},
        {"train/a": 1, "train/b": 1},
        {},
    ),
    "a linked split": (
        ["store/train/a/1.mp4", "videos/train -> ../store/train", "videos/test/a/2.mp4"],
        {},
        {"train/a": 1, "test/a": 1},
        {},
    ),
    "a link to the folder itself": (["a/1.mp4", "a/again -> ../a", "b/1.mp4"], {}, {"train/a": 1, "train/b": 1}, {}),
    "a file and a link to it in one class": (["a/1.mp4", "a/2.mp4 -> 1.mp4"], {}, {"train/a": 1}, {"same_file": 1}),
    "loose files and other files": (
        ["1.mp4", "a/1.mp4", "a/1.wav", "readme"],
        {},
        {"train/a": 1},
        {"no_class_folder": 1},
    ),
}


def roots(root: Path) -> Path | tuple[Path, ...]:
    """The folder, or where links lead from `videos` into `store`, both."""
    return (root / "videos", root / "store") if (root / "store").exists() else root


@pytest.mark.parametrize("name", READ)
def test_all_files_of_a_layout_are_accounted_for(name: str, tmp_path: Path) -> None:
    files, settings, used, left_out = READ[name]
    tree(tmp_path, files)
    listing = Folder.model_validate({"root": roots(tmp_path), **ALL_TRAIN, **settings}).listing()
    accounting = listing.accounting
    assert told(listing) == used
    assert {each.reason: each.count for each in accounting.left_out} == left_out
    assert accounting.num_used == sum(used.values())
    assert accounting.num_seen == accounting.num_used + sum(left_out.values())
    assert {each.meaning for each in accounting.folders if each.role == "class"} == set(listing.classes)


REFUSED: dict[str, tuple[Sequence[str], Mapping[str, Any], str]] = {
    "a class named train": (
        ["train/1.mp4", "car/1.mp4", "bus/1.mp4"],
        {},
        r"(?s)two ways; set dataset\.layout.*=class_folders: .*3 classes \(bus, car, train\).*3 of 3 videos\n"
        r".*=split_folders: .*no class.*0 of 3 videos",
    ),
    "a folder beside the splits": (
        ["train/a/1.mp4", "test/a/2.mp4", "extra/3.mp4"],
        {},
        r"(?s)=class_folders: .*3 classes \(extra, test, train\).*=split_folders: .*1 class \(a\).*2 of 3 videos",
    ),
    "splits without classes": (
        ["train/1.mp4", "test/2.mp4"],
        {},
        r"(?s)=class_folders: .*2 classes \(test, train\).*=split_folders: .*no class",
    ),
    "a split below one of the classes": (
        ["a/train/1.mp4", "b/1.mp4"],
        {},
        r"(?s)=class_folders: .*2 classes \(a, b\).*=class_then_split: .*1 class \(a\), splits train 1, 1 of 2",
    ),
    "one split below all classes": (
        ["a/train/1.mp4", "b/train/1.mp4"],
        {},
        r"(?s)=class_folders: .*=class_then_split: .*splits train 2",
    ),
    "one folder too high": (
        ["data/a/1.mp4", "data/b/1.mp4"],
        {},
        r"(?s)one folder too high:\n.*=class_folders: .*1 class \(data\).*\n  dataset\.root='.*/data': the folders a,",
    ),
    "one folder too high above splits": (
        ["data/train/a/1.mp4", "data/test/a/1.mp4"],
        {},
        r"(?s)one folder too high:\n.*=class_then_split: .*1 class \(data\).*\n  dataset\.root='.*/data': .*test, tra",
    ),
    "one folder too many below splits": (
        ["train/data/a/1.mp4", "test/data/b/2.mp4"],
        {},
        r"(?s)=split_folders: .*1 class \(data\).*\n  move the folders a, b up",
    ),
    "a class of another container": (
        ["a/1.mp4", "b/1.flv", "b/2.flv"],
        {},
        r"no video can be used of 1 of 2 classes: b .*2 other_container, such as 'b/1\.flv'.*ffmpeg.*dataset\.classes",
    ),
    "names that differ in capitals": (
        ["Dog/1.mp4", "dog/2.mp4"],
        {},
        r"one class or two: 'Dog' and 'dog'.*dataset\.cla",
    ),
    "a class that is not there": (
        ["dog/1.mp4", "cat/1.mp4"],
        {"classes": ("dgo",)},
        r"no folder 'dgo' holds a video; the nearest are 'dog'",
    ),
    "a link out of the root": (
        ["elsewhere/a/1.mp4", "videos/a -> ../elsewhere/a", "videos/b/1.mp4"],
        {},
        r"'.*/videos/a' leads to '.*/elsewhere/a'.*dataset\.root=\[.*/videos,.*/elsewhere/a\]",
    ),
    "one file in two classes": (
        ["all/1.mp4", "a/1.mp4 -> ../all/1.mp4", "b/2.mp4"],
        {},
        r"one file lies in two places: 'a/1\.mp4' and 'all/1\.mp4'.*dataset\.classes",
    ),
    "no class folder": (["1.mp4"], {}, r"holds no video in a class folder \(1 video files in all\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_layout_that_cannot_be_read_is_refused_with_what_decides(name: str, tmp_path: Path) -> None:
    files, settings, message = REFUSED[name]
    tree(tmp_path, files)
    root = tmp_path / "videos" if (tmp_path / "videos").exists() else tmp_path
    with pytest.raises(ValueError, match=message):
        Folder.model_validate({"root": root, **settings}).listing()


@pytest.mark.parametrize("layout", SHAPES)
def test_a_reading_names_class_and_split_of_its_own_shape(layout: Layout) -> None:
    names = SHAPES[layout].replace("<class>", "dog").replace("<split>", "val").replace("<name>", "1")
    placed = place(Path(names), layout)
    assert (placed.class_name, placed.split) == ("dog", None if layout == "class_folders" else "validation")


def test_folders_of_two_splits_around_one_youtube_clip_are_an_error(tmp_path: Path) -> None:
    tree(tmp_path, [f"train/singing/test/{ID}.mp4"])
    with pytest.raises(ValueError, match=r"two ways: its folders name the splits train and test.*dataset\.split_files"):
        KineticsSounds(root=tmp_path).listing()


def test_folders_of_youtube_clips_are_accounted_for(tmp_path: Path) -> None:
    names = [f"train/singing/{ID}.mp4", "train/singing/bbbbbbbbbbb_000000_000010.flv", "k400/abseiling/x.mp4", "a.json"]
    listing = KineticsSounds(root=tree(tmp_path, [*names, f".cache/{ID}.mp4"])).listing()
    accounting = listing.accounting
    assert {each.reason: each.count for each in accounting.left_out} == {
        "other_container": 1,
        "bad_name": 1,
        "system_folder": 1,
    }
    assert (accounting.num_seen, accounting.num_used) == (4, 1)
    assert {(each.folder, each.role) for each in accounting.folders} == {
        ("train", "split"),
        ("train/singing", "class"),
        ("k400", "neither"),
        ("k400/abseiling", "neither"),
        (".cache", "left_out"),
    }
