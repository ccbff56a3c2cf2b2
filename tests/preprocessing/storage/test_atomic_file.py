"""A file on its way: whole under its name or not there, and abandoned ones told from those that are being written."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest

from preprocessing.storage.atomic_file import (
    TEMPORARY_PREFIX,
    AtomicFile,
    remove_abandoned,
    write_file,
    write_file_if_absent,
)
from preprocessing.storage.store import Store, StoreError

WRITE_AND_WAIT = """
import sys
from preprocessing.storage.atomic_file import AtomicFile
from preprocessing.storage.store import Store
with AtomicFile(Store(sys.argv[1]), "train/a.tar") as file:
    file.write(b"half")
    file._file.flush()
    print("written", flush=True)
    sys.stdin.read()
    file.commit()
"""


@contextmanager
def writer(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has half written `train/a.tar`."""
    command = [sys.executable, "-c", WRITE_AND_WAIT, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        yield process
        process.kill()


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """The system refuses to let any file of this process grow beyond `num_bytes`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_drafts_of_the_living_stay_and_those_of_the_dead_go(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with writer(tmp_path) as process:
        assert remove_abandoned(store) == 0
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert len(list(tmp_path.rglob(f"{TEMPORARY_PREFIX}*"))) == 1
        assert remove_abandoned(store) == 1
    assert list((tmp_path / "train").iterdir()) == []


def test_a_living_draft_shows_after_another_run_has_cleaned_up(tmp_path: Path) -> None:
    with writer(tmp_path) as process:
        remove_abandoned(Store(str(tmp_path)))
        process.communicate()
        assert process.returncode == 0
    assert (tmp_path / "train/a.tar").read_bytes() == b"half"


@pytest.mark.parametrize("num_bytes", [0, 1000, 9000])
def test_a_disk_that_takes_no_more_leaves_nothing_and_says_what_to_do(tmp_path: Path, num_bytes: int) -> None:
    """The system ends the writing at the first byte, inside the buffer and behind it."""
    store = Store(str(tmp_path))

    def fill() -> None:
        with largest_file(num_bytes), AtomicFile(store, "train/a.tar") as file:
            for _ in range(10):
                file.write(bytes(1000))
            file.commit()

    with pytest.raises(
        StoreError, match=r"cannot write .*/train/a\.tar': no space is left there.*run the same command"
    ):
        fill()
    assert list((tmp_path / "train").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write '.*/train/a\.tar': FileExistsError"):
        write_file(Store(str(tmp_path)), "train/a.tar", b"")


@pytest.mark.parametrize("root", ["folder", "memory://drafts"])
def test_of_two_first_files_one_wins(root: str, tmp_path: Path) -> None:
    store = Store(root if "://" in root else str(tmp_path / root))
    assert write_file_if_absent(store, "plan.json", b"one")
    assert not write_file_if_absent(store, "plan.json", b"two")
    assert store.read("plan.json") == b"one"
    write_file(store, "plan.json", b"three")
    assert store.read("plan.json") == b"three"
    assert list(store.names()) == ["plan.json"]
    if store.folder is None:
        fsspec.filesystem("memory").rm("/drafts", recursive=True)
