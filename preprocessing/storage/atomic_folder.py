"""Folders that appear under their name only when they are complete, and are read as one while they are replaced."""

from __future__ import annotations

import ctypes
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from preprocessing.errors import DataError
from preprocessing.storage.atomic_file import (
    FILE_MODE,
    flush_folder,
    flush_to_disk,
    holding,
    rename,
    unfinished_name,
)

Result = TypeVar("Result")

AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Linux's `renameat2`: paths as the process has them, and each of two names for the other."""
ATTEMPTS_TO_READ = 50
SECONDS_TO_RETURN = 0.2
"""A folder that is replaced by two renamings is missing for much less."""


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder: renamed to `folder`, in place of any other, unless the block raises."""
    with create_unfinished_folder(folder) as temporary:
        try:
            yield temporary
            mode = temporary.stat().st_mode & FILE_MODE
            for file in temporary.rglob("*"):
                if file.is_file():
                    flush_to_disk(file, mode=mode)
            replace_folder(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(new: Path, folder: Path) -> None:
    """Give a complete folder its final name, in place of what had it.

    Where the system can exchange two names, the name is never without a complete folder. Elsewhere nothing has it for a
    moment. Whoever reads several files of it uses `unchanged`.
    """
    old = new
    if not exchange(new, folder):
        old = unfinished_name(folder)
        with suppress(FileNotFoundError):
            folder.rename(old)
        rename(new, folder)
    flush_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def exchange(one: Path, other: Path) -> bool:
    """Give two files or folders each other's name in one step; false where one is missing, or the system cannot.

    Linux can since 3.15, on its own file systems; NFS cannot.
    """
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    return bool(renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0)


def unchanged(folder: Path, read: Callable[[], Result]) -> Result:
    """The result of reading several files of a folder, all of the same one: again if it was replaced on the way.

    Where names cannot be exchanged, a folder that is missing for a moment is waited for.

    Raises:
        DataError: if it is replaced faster than it can be read.
        Exception: what `read` raises while the folder stays, or is missing for longer.
    """
    for _ in range(ATTEMPTS_TO_READ):
        before = _identity_once_there(folder)
        try:
            result = read()
        except Exception:
            if before == _identity(folder):
                raise
        else:
            if before == _identity(folder):
                return result
    raise DataError(f"'{folder}' is replaced faster than it can be read; try again, or copy it first")


def _identity_once_there(folder: Path) -> tuple[int, int, int] | None:
    deadline = time.monotonic() + SECONDS_TO_RETURN
    while (found := _identity(folder)) is None and time.monotonic() < deadline:
        time.sleep(0.005)
    return found


def _identity(folder: Path) -> tuple[int, int, int] | None:
    """Tells a folder from another that has its name later; None if there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


@contextmanager
def create_unfinished_folder(final: Path) -> Iterator[Path]:
    """A new folder beside `final`, locked within the block."""
    final.parent.mkdir(parents=True, exist_ok=True)
    while True:
        folder = unfinished_name(final)
        folder.mkdir()
        with holding(folder):
            if folder.exists():  # or taken for abandoned in the moment before it was locked
                yield folder
                return
