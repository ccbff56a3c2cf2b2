"""A store of files: a folder or any fsspec URL, read and written file by file.

A failing store is tried again a few times, with growing pauses; what fails then is a `StoreError` that names the place.
Credentials come from the environment of each process and are never part of a URL, a message or a stored file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar, runtime_checkable

import fsspec
from fsspec.implementations.local import LocalFileSystem
from tenacity import RetryError, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from preprocessing.errors import PlaceError, ResourceError
from preprocessing.storage.parsing import MAX_BYTES, open_regular, read_regular, refuse_large
from preprocessing.storage.places import join, redacted, refuse_credentials

ATTEMPTS = 4
PAUSE = wait_random_exponential(multiplier=0.5, max=8.0)
"""Seconds between two attempts: at most 0.5, 1, 2; stores such as s3fs have tried several times by then themselves."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FINAL = (
    *(FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError),
    *(ImportError, NotImplementedError, TypeError, ValueError),
)
"""Errors that trying again does not mend."""
ONE_PUT_BYTES = 5 << 30
"""S3 takes so much in one put; nothing is then left of an upload that is cut off."""

READ_BYTES = 1 << 20

Result = TypeVar("Result")


@runtime_checkable
class Readable(Protocol):
    """An open file, as fsspec gives it."""

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


class StoreError(PlaceError):
    """A place could not be read or written; what was finished before is kept."""


class CutOffError(RuntimeError):
    """A store has said that it holds a file, and holds less of it."""


class Store:
    """The files below `root`, each named relative to it, such as `train/000000.tar`.

    Raises:
        ValueError: if `root` is no place that can be opened, or carries credentials.
    """

    def __init__(self, root: str) -> None:
        refuse_credentials(root)
        self.root = root
        try:
            # Listings are never cached: other processes write here, too.
            self.filesystem, self._path = fsspec.core.url_to_fs(root, use_listings_cache=False)
        except ImportError as error:
            raise ResourceError(f"'{root}' needs a package that is not installed: {error}") from error
        except ValueError as error:
            raise PlaceError(f"'{root}' is neither a folder nor a URL that can be opened: {error}") from error

    @cached_property
    def folder(self) -> Path | None:
        """The folder on this machine; None if the store is elsewhere."""
        return Path(self._path) if isinstance(self.filesystem, LocalFileSystem) else None

    @cached_property
    def everywhere(self) -> str:
        """`root` under a name that holds in every process: workers may run in another folder."""
        return self._path if self.folder else self.root

    def url(self, name: str) -> str:
        """The whole name of a file."""
        return join(self.root, name)

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if it is not there, or is a folder.

        Raises:
            StoreError: if the store does not say.
        """
        try:
            info = self._try("look at", name, self.filesystem.info)
        except FileNotFoundError:
            return None
        return None if info["type"] == "directory" else int(info["size"])

    def read(self, name: str, *, max_bytes: int = MAX_BYTES) -> bytes:
        """A whole file, which is a record of at most `max_bytes`.

        Raises:
            FileNotFoundError: if it is not there.
            DataError: if it is larger, or no regular file; nothing of it is then read.
            StoreError: if the store does not give it.
        """

        if self.folder is not None:
            return self._try("read", name, partial(read_regular, max_bytes=max_bytes))
        refuse_large(self.size(name) or 0, self.url(name), max_bytes=max_bytes)
        data: bytes = self._try("read", name, self.filesystem.cat_file)
        return data

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """A piece of a file; shorter if the file ends before. So many bytes are allocated at once.

        Raises:
            FileNotFoundError: if the file is not there.
            DataError: if it is a folder, a pipe or a device.
            StoreError: if the store does not give it.
        """
        if self.folder is not None:
            with suppress(OSError):  # fsspec's own way to a local file takes 50 us longer, as long as some clips take
                return read_local_range(f"{self._path}/{name}", start, length)
        data: bytes = self._try(
            "read", name, lambda path: self.filesystem.cat_file(path, start=start, end=start + length)
        )
        return data

    def stream(self, name: str, use: Callable[[Readable], Result]) -> Result:
        """Open a file at its beginning, hand it to `use`, and return the result; again if reading fails on the way.

        Raises:
            FileNotFoundError: if it is not there.
            StoreError: if the store does not give it.
        """

        def call(path: str) -> Result:
            with self._open(path) as opened:
                return use(opened)

        return self._try("read", name, call)

    def _open(self, path: str) -> Any:
        return self.filesystem.open(path, "rb") if self.folder is None else os.fdopen(open_regular(path), "rb")

    def sha256(self, name: str) -> str:
        """SHA-256 of a file.

        Raises:
            FileNotFoundError: if it is not there.
            StoreError: if the store does not give it.
        """
        return self.stream(name, sha256_of)

    def modified(self, name: str) -> datetime | None:
        """Time at which a file was written; None if the store does not say."""
        try:
            when: datetime = self._try("look at", name, self.filesystem.modified)
        except NotImplementedError:
            return None
        return when

    def names(self) -> dict[str, int]:
        """All files and their bytes."""
        found = self._try("list", "", lambda path: self.filesystem.find(path, detail=True))
        start = self._path.rstrip("/") + "/"
        return {path.removeprefix(start): int(info["size"] or 0) for path, info in sorted(found.items())}

    def upload(self, file: IO[bytes], name: str, *, num_bytes: int) -> None:
        """Send an open local file to a remote store by one put, and make sure that all of it is there.

        Raises:
            StoreError: if the store does not take it.
        """
        options = {"chunksize": ONE_PUT_BYTES} if "s3" in self.filesystem.protocol else {}

        def put(path: str) -> None:
            file.seek(0)
            self.filesystem.put_file(f"/dev/fd/{file.fileno()}", path, **options)
            stored = self.filesystem.info(path)["size"]
            if stored != num_bytes:
                raise CutOffError(f"{num_bytes:,} bytes were sent and acknowledged, {stored:,} are there")

        self._try("write", name, put)

    def create(self, name: str, data: bytes) -> bool:
        """Write a small file into a remote store unless there is one; true if it was written.

        In one step where the store knows how to (S3, Google and Azure do).

        Raises:
            StoreError: if the store does not take it.
        """
        try:
            self._try("write", name, lambda path: self.filesystem.pipe_file(path, data, mode="create"))
        except FileExistsError:
            return False
        except StoreError:
            raise
        except (NotImplementedError, TypeError, ValueError):
            if self.size(name) is not None:
                return False
            self._try("write", name, lambda path: self.filesystem.pipe_file(path, data))
        return True

    def remove(self, name: str) -> None:
        """Remove a file.

        Raises:
            FileNotFoundError: if it is not there.
            StoreError: if the store does not let it be removed.
        """
        self._try("remove", name, self.filesystem.rm_file)

    def failure(self, action: str, name: str, error: BaseException) -> StoreError:
        """An error that says what went wrong and what to do about it."""
        where = self.url(name) if name else self.root
        if isinstance(error, OSError) and error.errno in FULL:
            reason = f"no space is left there, or the file is larger than allowed{self._free()}"
            advice = "free some, or raise the quota"
        else:
            reason = redacted(f"{type(error).__name__}: {error}")
            advice = "see that the place can be reached and written"
        return StoreError(
            f"cannot {action} '{where}': {reason}; {advice}, then run the same command again: what is finished is kept"
        )

    def _free(self) -> str:
        """The space that is left, in words; empty if that cannot be said."""
        if self.folder is None:
            return ""
        there = next(folder for folder in (self.folder.absolute(), *self.folder.absolute().parents) if folder.exists())
        return f" ({shutil.disk_usage(there).free:,} bytes are free)"

    def _try(self, action: str, name: str, call: Callable[[str], Result]) -> Result:
        """Call with the file's path, several times if need be."""
        path = f"{self._path.rstrip('/')}/{name}" if name else self._path
        retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS), wait=PAUSE, retry=retry_if_exception(is_worth_another_attempt)
        )
        try:
            result: Result = retrying(call, path)
            return result
        except RetryError as error:
            raise self.failure(action, name, error.last_attempt.exception() or error) from None
        except FileExistsError:
            raise
        except FileNotFoundError as error:
            if action != "write":
                raise
            raise self.failure(action, name, error) from None
        except OSError as error:
            raise self.failure(action, name, error) from None


def read_local_range(path: str, start: int, length: int) -> bytes:
    """A piece of a local file, read by one call to the system."""
    descriptor = open_regular(path)
    try:
        return os.pread(descriptor, length, start)
    finally:
        os.close(descriptor)


def sha256_of(stream: Readable) -> str:
    """SHA-256 of what is left of a stream."""
    digest = hashlib.sha256()
    while block := stream.read(READ_BYTES):
        digest.update(block)
    return digest.hexdigest()


def is_worth_another_attempt(error: BaseException) -> bool:
    """True if an error may pass: a full disk, a missing file or a refused access do not."""
    if not isinstance(error, Exception) or isinstance(error, FINAL):
        return False
    return not (isinstance(error, OSError) and error.errno in (*FULL, errno.EROFS, errno.ENAMETOOLONG))
