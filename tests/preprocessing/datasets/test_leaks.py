"""A video in two splits is told with its places."""

from __future__ import annotations

import pytest

from preprocessing.datasets.leaks import Claim, refuse_leaks


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
