"""Any tree of videos with one folder per class. The files are empty: only names are read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from preprocessing.datasets import Folder
from preprocessing.datasets.base import Shares
from preprocessing.datasets.folder import key_of, unique_keys


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_class_folders_are_the_classes(tmp_path: Path) -> None:
    touch(tmp_path, "dogs/1.mp4", "cats/1.webm", "cats/2.MOV", "cats/notes.txt", "loose.mp4", "empty/readme.md")
    listing = Folder(root=tmp_path).listing()
    assert listing.classes == ("cats", "dogs")
    assert [(video.key, video.label) for video in listing.videos] == [("cats__1", 0), ("cats__2", 0), ("dogs__1", 1)]


def test_a_class_without_a_folder_is_refused_with_the_nearest_ones(tmp_path: Path) -> None:
    touch(tmp_path, "piano/1.mp4", "pianist/1.mp4", "violin/1.mp4")
    with pytest.raises(ValueError, match=r"no folder 'pianoo' holds a video; the nearest are 'piano', 'pianist'$"):
        Folder(root=tmp_path, classes=("pianoo", "violin")).listing()
    with pytest.raises(ValueError, match=r"no folder 'x' holds a video; there are 'pianist', 'piano', 'violin'$"):
        Folder(root=tmp_path, classes=("x",)).listing()


def test_folders_of_splits_are_kept(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.mp4", "val/a/2.mp4", "test/a/deep/3.mkv", "test/b/4.mp4")
    listing = Folder(root=tmp_path).listing()
    assert listing.classes == ("a", "b")
    assert [(video.split, video.class_name) for video in listing.videos] == [
        ("test", "a"),
        ("test", "b"),
        ("train", "a"),
        ("validation", "a"),
    ]


def test_the_split_of_a_file_depends_on_its_name_alone(tmp_path: Path) -> None:
    names = [f"{index}.mp4" for index in range(400)]
    touch(tmp_path / "one", *(f"a/{name}" for name in names))
    touch(tmp_path / "two", *(f"b/{name}" for name in names[::2]))
    shares = Shares(validation=0.25, test=0.25)
    one = {video.source.name: video.split for video in Folder(root=tmp_path / "one", shares=shares).listing().videos}
    two = {video.source.name: video.split for video in Folder(root=tmp_path / "two", shares=shares).listing().videos}
    assert all(one[name] == split for name, split in two.items())
    assert 60 <= sum(split == "test" for split in one.values()) <= 140


def test_keys_are_safe_and_stay_apart() -> None:
    assert key_of(Path("a/b_c-1.mp4")) == "a__b_c-1"
    keys = [key_of(Path(name)) for name in ("a/x y.mp4", "a/x_y.mp4", "a/x.y.mp4", f"a/{'l' * 300}.mp4", "a/名前.mp4")]
    assert len(set(keys)) == 5
    assert all(len(key) <= 80 and "." not in key and key.isascii() for key in keys)


def test_keys_are_unique_by_construction_and_only_those_that_would_collide_carry_a_hash(tmp_path: Path) -> None:
    """A broken `a.mkv` must not cost the good `a.mp4`, nor one folder another's video."""
    touch(tmp_path, "dog/a.mkv", "dog/a.mp4", "dog/x__y.mp4", "dog__x/y.mp4", "dog/b.mp4")
    listing = Folder(root=tmp_path).listing()
    keys = {video.source.as_posix(): video.key for video in listing.videos}
    assert len(set(keys.values())) == 5
    assert keys["dog/b.mp4"] == "dog__b"
    assert all(key == f"{key_of(Path(name))}-{key[-8:]}" for name, key in keys.items() if name != "dog/b.mp4")
    assert listing.rejected == ()


def test_a_key_that_looks_like_anothers_hash_is_kept_apart(tmp_path: Path) -> None:
    first = unique_keys([Path("a/x.mkv"), Path("a/x.mp4")])
    posing = Path("a") / f"{first[Path('a/x.mp4')].removeprefix('a__')}.mp4"
    assert len(set(unique_keys([Path("a/x.mkv"), Path("a/x.mp4"), posing]).values())) == 3


def test_shares_must_leave_something_to_train() -> None:
    with pytest.raises(ValidationError, match=r"validation=0\.5 and test=0\.5 leave nothing to train"):
        Shares(validation=0.5, test=0.5)


def test_a_tree_without_class_folders_is_the_users_mistake(tmp_path: Path) -> None:
    touch(tmp_path, "1.mp4", "2.mp4")
    with pytest.raises(ValueError, match=r"holds no video in a class folder \(2 video files in all\)"):
        Folder(root=tmp_path).listing()


def test_a_file_in_two_roots_is_a_duplicate(tmp_path: Path) -> None:
    one, two = touch(tmp_path / "one", "a/1.mp4", "a/2.mp4"), touch(tmp_path / "two", "a/2.mp4", "b/2.mp4")
    listing = Folder(root=(one, two)).listing()
    assert [video.key for video in listing.videos] == ["a__1", "a__2", "b__2"]
    (rejection,) = listing.rejected
    assert (rejection.file, rejection.reason) == ("a/2.mp4", "duplicate")
    assert rejection.detail == "root 1 of 2 holds a file of this name"


def test_files_of_no_class_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "b/1.mp4", "b/2.mp4", "loose.mp4")
    accounting = Folder(root=tmp_path, classes=("a",)).listing().accounting
    assert [(each.reason, each.count, each.example) for each in accounting.left_out] == [
        ("not_chosen", 2, "b/1.mp4"),
        ("no_class_folder", 1, "loose.mp4"),
    ]


def test_a_name_that_is_not_utf_8_is_rejected_readably(tmp_path: Path) -> None:
    """No record could hold it: the job would end instead of the one video."""
    touch(tmp_path, "cat/good.mp4")
    (tmp_path / "cat" / os.fsdecode(b"caf\xe9.mp4")).touch()
    listing = Folder(root=tmp_path).listing()
    assert [video.source.name for video in listing.videos] == ["good.mp4"]
    (rejection,) = listing.rejected
    assert (rejection.file, rejection.reason) == (r"cat/caf\xe9.mp4", "bad_name")
    assert rejection.model_dump_json()
