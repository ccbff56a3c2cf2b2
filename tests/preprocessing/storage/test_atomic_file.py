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
    remove_abandoned_below,
    replacing,
    write_file,
    write_file_if_absent,
    write_text,
)
from preprocessing.storage.atomic_folder import replacing_folder
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


REPLACE_AND_WAIT = """
import sys
from pathlib import Path
from preprocessing.storage.atomic_file import replacing
with replacing(Path(sys.argv[1]) / "train/best.yaml") as path:
    path.write_text("new")
    print("written", flush=True)
    sys.stdin.read()
"""

REPLACE_FOLDER_AND_WAIT = """
import sys
from pathlib import Path
from preprocessing.storage.atomic_folder import replacing_folder
with replacing_folder(Path(sys.argv[1]) / "train/checkpoint") as folder:
    (folder / "model").write_text("new")
    print("written", flush=True)
    sys.stdin.read()
"""


@contextmanager
def writer(root: Path, program: str = WRITE_AND_WAIT) -> Iterator[subprocess.Popen[str]]:
    """Another process that has written a file, `train/a.tar` by default, and has not yet given it its name."""
    command = [sys.executable, "-c", program, str(root)]
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


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """New files of this process lack these permissions."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("program", "name"), [(REPLACE_AND_WAIT, "best.yaml"), (REPLACE_FOLDER_AND_WAIT, "checkpoint/model")]
)
def test_a_kill_between_writing_and_renaming_leaves_the_old_one_whole(program: str, name: str, tmp_path: Path) -> None:
    """What is left beside it is removed once nobody writes it any more."""
    old = tmp_path / "train" / name
    old.parent.mkdir(parents=True)
    old.write_text("old")
    with writer(tmp_path, program) as process:
        assert remove_abandoned_below(tmp_path) == 0
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert old.read_text() == "old"
    assert remove_abandoned_below(tmp_path) == 1
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [old]


@pytest.mark.parametrize("program", [REPLACE_AND_WAIT, REPLACE_FOLDER_AND_WAIT])
def test_who_is_not_killed_replaces_the_old_one(program: str, tmp_path: Path) -> None:
    for _ in range(2):
        with writer(tmp_path, program) as process:
            process.communicate()
            assert process.returncode == 0
    (file,) = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert file.read_text() == "new"


def test_a_tool_that_fails_changes_nothing(tmp_path: Path) -> None:
    write_text(tmp_path / "page.html", "old")

    def fail(path: Path) -> None:
        with replacing(path) as temporary:
            temporary.write_text("half of the")
            raise RuntimeError("the tool failed")

    with pytest.raises(RuntimeError, match="the tool failed"):
        fail(tmp_path / "page.html")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_a_tool_sees_the_suffix_that_it_chooses_the_format_by(tmp_path: Path) -> None:
    with replacing(tmp_path / "pictures" / "search.png") as temporary:
        assert temporary.suffix == ".png"
        assert temporary.name.startswith(TEMPORARY_PREFIX)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o644)])
def test_files_are_as_readable_as_the_umask_lets_them(mask: int, mode: int, tmp_path: Path) -> None:
    """Also those of tools that write for their owner alone, in whatever way they do."""
    with umask(mask):
        write_text(tmp_path / "text", "a")
        write_file(Store(str(tmp_path)), "stored", b"a")
        assert write_file_if_absent(Store(str(tmp_path)), "first", b"a")
        with replacing(tmp_path / "tool") as temporary:
            temporary.unlink()
            temporary.touch(mode=0o600)
        with replacing_folder(tmp_path / "checkpoint") as folder:
            (folder / "model").touch(mode=0o600)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {(file.name, file.stat().st_mode & 0o777) for file in files} == {
        (name, mode) for name in ("text", "stored", "first", "tool", "model")
    }


def test_text_is_stored_as_it_is(tmp_path: Path) -> None:
    write_text(tmp_path / "new folder" / "text", "é\n\r\n")
    assert (tmp_path / "new folder" / "text").read_bytes() == b"\xc3\xa9\n\r\n"
