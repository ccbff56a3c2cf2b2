"""Records of strangers: too large, too deep, or no records at all; each is refused before it costs anything."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from preprocessing.errors import DataError
from preprocessing.storage.parsing import (
    MAX_YAML_BYTES,
    open_regular,
    parse_json,
    parse_yaml,
    read_regular,
    read_settings,
)
from preprocessing.storage.store import Store

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
"""A billion values in half a kilobyte."""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"[" * 100_000, "recursion limit exceeded"),
        (b'{"a":' * 100_000, "recursion limit exceeded"),
        (b"[NaN]", "expected value"),
        (b"[-Infinity]", "invalid number"),
        (b"9" * 5000, "number out of range"),
        (b"\xff\xfe", "expected value"),
        (b"", "EOF while parsing"),
        (b"{}{}", "trailing characters"),
    ],
)
def test_json_beyond_the_bounds_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(DataError, match=f"'a.json' is damaged: it is no JSON: {says}"):
        parse_json(text, what="'a.json'")


def test_json_within_them_is_plain_data() -> None:
    assert parse_json(b'{"a": [1, 2.5, null, true, "\\u00e4"]}', what="it") == {"a": [1, 2.5, None, True, "\u00e4"]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "more than 100,000 values"),
        ("[" * 100_000, "nested more than 50 deep"),
        ("- " * 60 + "a", "nested more than 50 deep"),
        ("a: &a [*a]", "contains itself"),
        ("a: " + "9" * 5000, "a number of 5,000 characters"),
        ("a: " + ":".join(["59"] * 5000), "a number of 14,999 characters"),
        ("a: 2001-99-99", "a value that cannot be read"),
        ("#" * (MAX_YAML_BYTES + 1), "characters; allowed"),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor"),
    ],
    ids=["aliases", "brackets", "dashes", "itself", "digits", "sixties", "no date", "size", "python"],
)
def test_yaml_beyond_the_bounds_is_refused(text: str, says: str) -> None:
    with pytest.raises(yaml.YAMLError, match=says):
        parse_yaml(text)


def test_yaml_within_them_is_plain_data() -> None:
    assert parse_yaml("base: &base {a: 1}\nb: {<<: *base, c: [2, 1.5e-3]}") == {
        "base": {"a": 1},
        "b": {"a": 1, "c": [2, "1.5e-3"]} if parse_yaml("1.5e-3") == "1.5e-3" else {"a": 1, "c": [2, 0.0015]},
    }


@pytest.mark.parametrize("text", ["- a", "a: [", "\x00", BOMB], ids=["a list", "cut off", "a NUL", "aliases"])
def test_settings_that_are_none_name_the_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(DataError, match=r"/config\.yaml"):
        read_settings(tmp_path / "config.yaml")
    with pytest.raises(FileNotFoundError):
        read_settings(tmp_path / "none.yaml")


def test_a_file_of_terabytes_is_refused_and_not_read(tmp_path: Path) -> None:
    """It has no blocks on the disk, and its name would suffice to fill the memory."""
    with (tmp_path / "dataset.json").open("wb") as file:
        file.truncate(1 << 42)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reads: list[Callable[[], object]] = [
        lambda: read_regular(tmp_path / "dataset.json"),
        lambda: Store(str(tmp_path)).read("dataset.json"),
    ]
    for read in reads:
        with pytest.raises(
            DataError, match=r"dataset\.json' has 4,398,046,511,104 bytes; allowed for such a record: 67,"
        ):
            read()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 16  # KiB


def test_a_large_record_in_a_bucket_is_not_fetched() -> None:
    store = Store("memory://hostile")
    store.filesystem.pipe_file("/hostile/dataset.json", b"x" * 1000)
    with pytest.raises(
        DataError, match=r"memory://hostile/dataset\.json' has 1,000 bytes; allowed for such a record: 999"
    ):
        store.read("dataset.json", max_bytes=999)
    assert store.read("dataset.json", max_bytes=1000) == b"x" * 1000
    store.filesystem.rm("/hostile", recursive=True)


def test_a_pipe_or_a_folder_in_a_records_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    store = Store(str(tmp_path))
    reads: list[Callable[[str], object]] = [
        lambda name: open_regular(tmp_path / name),
        store.read,
        lambda name: store.read_range(name, 0, 10),
        store.sha256,
    ]
    for name in ("pipe", "folder"):
        for read in reads:
            with pytest.raises(DataError, match=f"{name}' is a folder, a pipe or a device; allowed: a regular file"):
                read(name)
