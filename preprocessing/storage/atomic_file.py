"""Files that appear under their name only when they are complete.

On this machine each is written beside its place as `.unfinished-...`, flushed to disk and renamed: a process that is
killed on the way leaves what was there before. For a remote store a file is written to a nameless local one and sent by
one put. Who writes holds a lock, which the system takes back when the process dies in whatever way: so an abandoned
file can be told from one that is still being written.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from preprocessing.storage.store import Store

TEMPORARY_PREFIX = ".unfinished-"
FILE_MODE = 0o644
"""Less what the process's umask takes away."""


def write_text(path: Path, text: str) -> None:
    """Write a local text file in UTF-8 whole or not at all, in place of any other."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a local file whole or not at all, in place of any other."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text_if_absent(path: Path, text: str) -> bool:
    """Write a local text file whole unless there is one; of several processes at once, one is told that it has."""
    with create_unfinished(path) as file:
        temporary = Path(file.name)
        try:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
            return rename_if_absent(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path for a tool that writes a file by its name: renamed to `path` unless the block raises."""
    with create_unfinished(path) as file:
        temporary = Path(file.name)
        try:
            yield temporary
            flush_to_disk(temporary, mode=os.fstat(file.fileno()).st_mode)
            rename(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_file(store: Store, name: str, data: bytes) -> None:
    """Write a small file of a store whole or not at all, in place of any other.

    Raises:
        StoreError: if the store does not take it.
    """
    with AtomicFile(store, name) as file:
        file.write(data)
        file.commit()


def write_file_if_absent(store: Store, name: str, data: bytes) -> bool:
    """Write a small file of a store unless there is one; of several processes at once, one is told that it has.

    Raises:
        StoreError: if the store does not take it.
    """
    with AtomicFile(store, name) as file:
        file.write(data)
        return file.commit_if_absent()


class AtomicFile:
    """A file of a store that appears as `name` when it is committed, or not at all.

    with AtomicFile(store, "train/000000.tar") as file:
        file.write(b"...")
        file.commit()

    Raises:
        StoreError: if the disk is full or the store does not take it; nothing of the file is then left.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._num_bytes = 0

    def __enter__(self) -> AtomicFile:
        folder = self._store.folder
        try:
            self._file = create_unfinished(folder / self._name) if folder else tempfile.TemporaryFile()
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
        """Give the complete file its name."""
        self._publish(if_absent=False)

    def commit_if_absent(self) -> bool:
        """Give the complete file its name unless another has it, in one step; true if none had."""
        return self._publish(if_absent=True)

    def _publish(self, *, if_absent: bool) -> bool:
        folder = self._store.folder
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            if folder is not None:
                publish = rename_if_absent if if_absent else rename
                return publish(Path(self._file.name), folder / self._name)
        except OSError as error:
            raise self._store.failure("write", self._name, error) from error
        if if_absent:
            self._file.seek(0)
            return self._store.create(self._name, self._file.read())
        self._store.upload(self._file, self._name, num_bytes=self._num_bytes)
        return True


def create_unfinished(final: Path) -> IO[bytes]:
    """A new locked file beside `final`, whose folder is made if need be."""
    final.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = open(unfinished_name(final), "x+b", opener=open_readable)  # noqa: SIM115
        lock(file.fileno())
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # taken for abandoned in the moment before it was locked


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """A folder's lock, held within the block: of several processes, one at a time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def unfinished_name(final: Path) -> Path:
    """A name beside `final` that nobody else uses, with its suffix, by which some tools choose a format."""
    return final.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}{final.suffix}")


def open_readable(path: str, flags: int) -> int:
    """Open a new file that everybody may read, as far as the umask lets them."""
    return os.open(path, flags, FILE_MODE)


def lock(descriptor: int) -> None:
    """Hold a file or folder until it is closed, or the process ends."""
    with suppress(OSError):  # a file system without locks: there, unfinished files are left alone
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def flush_to_disk(file: Path, *, mode: int) -> None:
    """Make sure that a file's content outlives a crash, and that it can be read by whom `mode` says."""
    file.chmod(mode & 0o777)  # some tools write files for their owner alone
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def rename(unfinished: Path, final: Path) -> bool:
    """Give a complete file or folder its final name, so that the name outlives a crash; always true."""
    unfinished.replace(final)
    flush_folder(final.parent)
    return True


def rename_if_absent(unfinished: Path, final: Path) -> bool:
    """Give a complete file its final name unless another has it; true if none had."""
    try:
        final.hardlink_to(unfinished)
    except FileExistsError:
        return False
    except OSError:  # a file system without links: there, the name is taken first, empty for a moment
        try:
            os.close(os.open(final, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))
        except FileExistsError:
            return False
        unfinished.replace(final)
    flush_folder(final.parent)
    return True


def flush_folder(folder: Path) -> None:
    """Make sure that the names in a folder outlive a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_abandoned(store: Store) -> int:
    """Remove what killed processes left unfinished in a store and return how many; the others' work is left alone."""
    return remove_abandoned_below(store.folder) if store.folder else 0


def remove_abandoned_below(folder: Path) -> int:
    """Remove what killed processes left unfinished below a local folder and return how many files and folders."""
    return sum(remove_if_abandoned(found) for found in list(folder.rglob(f"{TEMPORARY_PREFIX}*")))


def remove_if_abandoned(path: Path) -> bool:
    """Remove an unfinished file or folder unless a living process holds its lock; true if it was removed."""
    try:
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except OSError:  # gone meanwhile
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError:  # locked, gone meanwhile, or on a file system without locks
        return False
    finally:
        os.close(descriptor)
    return True
