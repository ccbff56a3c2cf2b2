"""A video in two splits is told with its places."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from preprocessing.datasets.leaks import ENDS_BYTES, Claim, SizedFile, copies_in_other_splits, refuse_leaks
from preprocessing.schema import Split


def test_without_a_leak_each_video_has_its_split() -> None:
    claims = [Claim("a", "train", "here"), Claim("b", "test", "there"), Claim("a", "train", "elsewhere")]
    assert refuse_leaks(claims) == {"a": "train", "b": "test"}


def test_leaks_are_counted_and_some_are_named_with_their_places() -> None:
    claims = [Claim(f"{i:04d}", split, f"{split}.csv line {i}") for split in ("train", "test") for i in range(3043)]
    with pytest.raises(
        ValueError, match="3,043 YouTube videos lie in several splits: a model would be tested"
    ) as error:
        refuse_leaks([*claims, Claim("good", "train", "train.csv")])
    assert str(error.value).splitlines()[1:] == [
        "  '0000': train (train.csv line 0), test (test.csv line 0)",
        "  '0001': train (train.csv line 1), test (test.csv line 1)",
        "  '0002': train (train.csv line 2), test (test.csv line 2)",
        "  ... and 3,040 more",
    ]


def test_another_word_for_a_video_is_used() -> None:
    with pytest.raises(ValueError, match="1 video lies in several splits"):
        refuse_leaks([Claim("a", "train", "here"), Claim("a", "test", "there")], what="video")


def files(root: Path, **contents: tuple[Split, bytes]) -> list[SizedFile]:
    for name, (_, data) in contents.items():
        (root / name).write_bytes(data)
    return [SizedFile(name, name, root / name, root, split, len(data)) for name, (split, data) in contents.items()]


def test_copies_are_kept_in_the_test_else_in_validation(tmp_path: Path) -> None:
    found = copies_in_other_splits(
        files(
            tmp_path,
            a=("train", b"one"),
            b=("validation", b"one"),
            c=("train", b"two"),
            d=("validation", b"two"),
            e=("test", b"two"),
            f=("train", b"one"),
        )
    )
    assert {key: each.detail for key, each in found.items()} == {
        "a": "'b' in validation has the same bytes",
        "f": "'b' in validation has the same bytes",
        "c": "'e' in test has the same bytes",
        "d": "'e' in test has the same bytes",
    }


def test_files_that_differ_in_the_middle_alone_are_no_copies(tmp_path: Path) -> None:
    """Their ends are read first; and copies within a split are no leak."""
    end = b"x" * ENDS_BYTES
    found = copies_in_other_splits(
        files(
            tmp_path,
            a=("train", end + b"1" + end),
            b=("test", end + b"2" + end),
            c=("test", end + b"2" + end),
            d=("train", b""),
            e=("test", b""),
        )
    )
    assert found == {}


def test_a_link_out_of_the_root_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").write_bytes(b"same")
    (one,) = files(tmp_path / "root", a=("test", b"same"))
    (tmp_path / "root/b").symlink_to(tmp_path / "secret")
    link = SizedFile("b", "b", tmp_path / "root/b", tmp_path / "root", "train", 4)
    assert copies_in_other_splits([one, link]) == {}


def test_files_of_other_sizes_are_not_read(tmp_path: Path) -> None:
    """The second one says that it has another size than it has: were it read, it would be a copy."""
    one, two = files(tmp_path, a=("train", b"same"), b=("test", b"same"))
    assert copies_in_other_splits([one, replace(two, num_bytes=5)]) == {}


def test_a_file_that_cannot_be_read_is_no_copy(tmp_path: Path) -> None:
    """The decoder says what is wrong with it."""
    pair = files(tmp_path, a=("train", b"same"), b=("test", b"same"))
    (tmp_path / "a").unlink()
    assert copies_in_other_splits(pair) == {}
