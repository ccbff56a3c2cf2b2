"""A folder that is replaced: always there, always whole, for whoever reads it in the meantime."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from preprocessing.errors import DataError
from preprocessing.storage import atomic_folder
from preprocessing.storage.atomic_file import TEMPORARY_PREFIX
from preprocessing.storage.atomic_folder import exchange, replacing_folder, unchanged

READ = """
import sys
from pathlib import Path
from preprocessing.storage.atomic_folder import unchanged
folder = Path(sys.argv[1])
print("ready", flush=True)
looks, generations = 0, set()
while not (folder.parent / "over").exists():
    folder.stat()
    found = unchanged(folder, lambda: [(folder / name).read_text() for name in ("model", "config", "format")])
    assert len(set(found)) == 1, found
    looks += 1
    generations.add(found[0])
print(looks, len(generations))
"""


def replace(folder: Path, generation: int) -> None:
    with replacing_folder(folder) as new:
        for name in ("model", "config", "format"):
            (new / name).write_text(str(generation))


def read_meanwhile(folder: Path, *, replacements: int) -> tuple[int, int]:
    """Another process reads all the time; returns its looks, and the generations that it saw."""
    replace(folder, 0)
    with subprocess.Popen([sys.executable, "-c", READ, str(folder)], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        for generation in range(1, replacements):
            replace(folder, generation)
        (folder.parent / "over").touch()
        answer = reader.communicate(timeout=60)[0]
    assert reader.returncode == 0
    looks, generations = map(int, answer.split())
    return looks, generations


def test_whoever_reads_while_it_is_replaced_never_misses_it_nor_sees_half(tmp_path: Path) -> None:
    """The reader asks for the folder itself, too, which must never be absent: `stat` would raise."""
    looks, generations = read_meanwhile(tmp_path / "checkpoint", replacements=300)
    assert looks > generations > 10
    assert {each.name for each in tmp_path.iterdir()} == {"checkpoint", "over"}


def test_a_plain_look_at_the_name_never_fails(tmp_path: Path) -> None:
    folder, missing, is_over = tmp_path / "checkpoint", [], threading.Event()
    replace(folder, 0)

    def look() -> None:
        while not is_over.is_set():
            if not os.path.isdir(folder):  # noqa: PTH112  # faster
                missing.append(True)

    thread = threading.Thread(target=look)
    thread.start()
    for generation in range(300):
        replace(folder, generation)
    is_over.set()
    thread.join()
    assert missing == []


def test_where_names_cannot_be_exchanged_a_reader_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on NFS: the name is free between two renamings."""
    monkeypatch.setattr(atomic_folder, "exchange", lambda one, other: False)
    folder, is_over, seen = tmp_path / "checkpoint", threading.Event(), set()
    replace(folder, 0)

    def read() -> None:
        while not is_over.is_set():
            found = unchanged(folder, lambda: [(folder / name).read_text() for name in ("model", "format")])
            seen.add(tuple(found))

    thread = threading.Thread(target=read)
    thread.start()
    for generation in range(200):
        replace(folder, generation)
    is_over.set()
    thread.join()
    assert all(one == other for one, other in seen)
    assert not list(tmp_path.glob(f"{TEMPORARY_PREFIX}*"))


def test_two_folders_exchange_their_names(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "it").write_text(name)
    assert exchange(tmp_path / "a", tmp_path / "b")
    assert [(tmp_path / name / "it").read_text() for name in "ab"] == ["b", "a"]
    assert not exchange(tmp_path / "a", tmp_path / "none")


def test_an_error_of_a_folder_that_stays_is_raised_at_once(tmp_path: Path) -> None:
    calls = []

    def read() -> None:
        calls.append(1)
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        unchanged(tmp_path, read)
    assert len(calls) == 1
    with pytest.raises(FileNotFoundError):
        unchanged(tmp_path / "none", (tmp_path / "none").stat)


def test_a_folder_that_never_stays_is_an_error(tmp_path: Path) -> None:
    numbers = iter(range(1000))
    with pytest.raises(DataError, match="is replaced faster than it can be read"):
        unchanged(tmp_path / "it", lambda: replace(tmp_path / "it", next(numbers)))
