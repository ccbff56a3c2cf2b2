"""A file on its way into a store: nothing shows under its name before it is complete.

In a folder it is written under a name of its own attempt, flushed to disk and renamed; for a remote store it is written
to a nameless local file and sent by one put. Who writes a named draft holds a lock on it, which the system takes back
when the process dies in whatever way: so an abandoned draft can be told from one that is still being written.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from preprocessing.storage.store import Store

TEMPORARY_PREFIX = ".unfinished-"


class AtomicFile:
    """A file that becomes `name` in `store`, or nothing.

    with Draft(store, "train/000000.tar") as draft:
        draft.write(b"...")
        draft.show()

    Raises:
        StoreError: if the disk is full or the store does not take it; nothing of the draft is then left.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._num_bytes = 0

    def __enter__(self) -> AtomicFile:
        try:
            self._file = self._new_file()
        except OSError as error:
            raise self._store.failure("write", self._name, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what a full disk did not take, closing would try to write again
            self._file.close()
        if self._store.folder:
            Path(self._file.name).unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Append."""
        try:
            self._file.write(data)
        except OSError as error:
            raise self._store.failure("write", self._name, error) from error
        self._num_bytes += len(data)

    def commit(self) -> None:
        """Show the complete file under its name."""
        self._publish(is_new=False)

    def commit_if_absent(self) -> bool:
        """Show the complete file under its name unless there is one already, in one step; whether it was."""
        return self._publish(is_new=True)

    def _publish(self, *, is_new: bool) -> bool:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            folder = self._store.folder
            if folder is not None:
                return self._rename(folder / self._name, is_new=is_new)
        except OSError as error:
            raise self._store.failure("write", self._name, error) from error
        if is_new:
            self._file.seek(0)
            return self._store.create(self._name, self._file.read())
        self._store.upload(self._file, self._name, num_bytes=self._num_bytes)
        return True

    def _rename(self, final: Path, *, is_new: bool) -> bool:
        file = Path(self._file.name)
        file.chmod(0o644)
        if is_new and not link(file, final):
            return False
        if not is_new:
            file.replace(final)
        descriptor = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return True

    def _new_file(self) -> IO[bytes]:
        if self._store.folder is None:
            return tempfile.TemporaryFile()
        folder = (self._store.folder / self._name).parent
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            file = tempfile.NamedTemporaryFile(dir=folder, prefix=TEMPORARY_PREFIX, delete=False)  # noqa: SIM115
            with suppress(OSError):  # a file system without locks: there, drafts are left alone
                fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:
                return file
            file.close()  # taken for abandoned in the moment before it was locked


def link(file: Path, final: Path) -> bool:
    """Give a file a second name unless that is taken; whether it was free."""
    try:
        final.hardlink_to(file)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        if final.exists():
            return False
        file.replace(final)
    return True


def write_file(store: Store, name: str, data: bytes) -> None:
    """Write a small file whole or not at all, in place of any other.

    Raises:
        StoreError: if the store does not take it.
    """
    with AtomicFile(store, name) as file:
        file.write(data)
        file.commit()


def write_file_if_absent(store: Store, name: str, data: bytes) -> bool:
    """Write a small file unless there is one; of several processes that try at once, one is told that it has.

    Raises:
        StoreError: if the store does not take it.
    """
    with AtomicFile(store, name) as file:
        file.write(data)
        return file.commit_if_absent()


def remove_abandoned(store: Store) -> int:
    """Remove the drafts of killed processes, and say how many; drafts that somebody still writes are left alone."""
    if store.folder is None:
        return 0
    return sum(remove_if_abandoned(file) for file in store.folder.rglob(f"{TEMPORARY_PREFIX}*"))


def remove_if_abandoned(file: Path) -> bool:
    """Remove a draft unless a living process holds its lock."""
    try:
        with file.open("r+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.unlink()
    except OSError:  # locked, gone meanwhile, or on a file system without locks
        return False
    return True
