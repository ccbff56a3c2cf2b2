"""A shard on disk: a plain tar with fixed bytes, and the record beside it that says it is complete.

A file under its final name is complete: it is written under a name of its own attempt, flushed to disk and renamed, or,
in a remote store, sent by one put. The record is written after the tar. Who finds a record finds a finished shard.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from preprocessing.schema import Rejection, ShardRecord, Split, StoredKey, join, load_shard_record

END_OF_ARCHIVE = bytes(2 * tarfile.BLOCKSIZE)
TEMPORARY_PREFIX = ".unfinished-"
READ_BYTES = 1 << 20


class ShardWriter:
    """Writes one shard; nothing shows under its name before `commit`.

    with ShardWriter(root, "train/000000.tar") as shard:
        shard.add("key", label=3, members={"json": b"{}"})
        record = shard.commit(split="train", plan_sha256=..., rejected=())
    """

    def __init__(self, root: str, name: str) -> None:
        self._root = root
        self._name = name
        self._samples: list[StoredKey] = []
        self._digest = hashlib.sha256()
        self._num_bytes = 0

    def __enter__(self) -> ShardWriter:
        folder = local_folder(self._root, self._name)
        self._file: IO[bytes] = tempfile.NamedTemporaryFile(dir=folder, prefix=TEMPORARY_PREFIX, delete=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        with suppress(FileNotFoundError):
            Path(self._file.name).unlink()

    def add(self, key: str, *, label: int, members: Mapping[str, bytes]) -> None:
        """Append a sample: each member is stored as `<key>.<name>`, in the order given."""
        offset = self._num_bytes
        for name, data in members.items():
            self._write(tar_member(f"{key}.{name}", data))
        self._samples.append(StoredKey(key=key, label=label, offset=offset, length=self._num_bytes - offset))

    def commit(self, *, split: Split, plan_sha256: str, rejected: tuple[Rejection, ...]) -> ShardRecord:
        """Finish the tar, show it under its name, then write its record."""
        self._write(END_OF_ARCHIVE)
        self._file.flush()
        os.fsync(self._file.fileno())
        publish(Path(self._file.name), self._root, self._name)
        record = ShardRecord(
            name=self._name,
            split=split,
            plan_sha256=plan_sha256,
            bytes=self._num_bytes,
            sha256=self._digest.hexdigest(),
            samples=tuple(self._samples),
            rejected=rejected,
        )
        write_file(self._root, record_name(self._name), record.model_dump_json(indent=1).encode() + b"\n")
        return record

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self._num_bytes += len(data)


def tar_member(name: str, data: bytes) -> bytes:
    """A file as it stands in a tar: nothing in it depends on when, where or by whom it was written."""
    header = tarfile.TarInfo(name)
    header.size = len(data)
    padding = -len(data) % tarfile.BLOCKSIZE
    return header.tobuf(tarfile.USTAR_FORMAT) + data + bytes(padding)


def record_name(shard_name: str) -> str:
    """The name of a shard's commit record."""
    return shard_name.removesuffix(".tar") + ".json"


def write_file(root: str, name: str, data: bytes) -> None:
    """Write a small file whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=local_folder(root, name), prefix=TEMPORARY_PREFIX, delete=False) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    try:
        publish(Path(file.name), root, name)
    finally:
        with suppress(FileNotFoundError):
            Path(file.name).unlink()


def publish(file: Path, root: str, name: str) -> None:
    """Show a finished temporary file under its final name: by renaming it, or by one put into a remote store."""
    filesystem, path = fsspec.core.url_to_fs(join(root, name))
    if not isinstance(filesystem, LocalFileSystem):
        filesystem.put_file(str(file), path)
        return
    file.chmod(0o644)
    file.replace(path)
    folder = os.open(Path(path).parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def local_folder(root: str, name: str) -> Path | None:
    """Where a temporary file must lie to be renamed to `root/name`; None (anywhere) if the root is remote."""
    filesystem, path = fsspec.core.url_to_fs(join(root, name))
    if not isinstance(filesystem, LocalFileSystem):
        return None
    folder = Path(path).parent
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def absolute(root: str) -> str:
    """The same place under a name that holds in every process: workers may run in another folder."""
    filesystem, path = fsspec.core.url_to_fs(root)
    return path if isinstance(filesystem, LocalFileSystem) else root


def remove_unfinished(root: str) -> None:
    """Remove what killed runs left behind."""
    filesystem, path = fsspec.core.url_to_fs(root)
    if isinstance(filesystem, LocalFileSystem):
        for file in Path(path).rglob(f"{TEMPORARY_PREFIX}*"):
            file.unlink(missing_ok=True)


def finished_record(root: str, name: str, *, plan_sha256: str) -> ShardRecord | None:
    """The record of a shard that an earlier run of the same plan finished and that is whole; else None."""
    filesystem, path = fsspec.core.url_to_fs(join(root, record_name(name)))
    if not filesystem.exists(path):
        return None
    record = load_shard_record(root, name)
    return record if record.plan_sha256 == plan_sha256 and not shard_problems(root, record) else None


def shard_problems(root: str, record: ShardRecord) -> list[str]:
    """What is wrong with a shard, measured against its record; each problem names it."""
    where = join(root, record.name)
    filesystem, path = fsspec.core.url_to_fs(where)
    if not filesystem.exists(path):
        return [f"'{where}' is missing"]
    size = filesystem.size(path)
    if size != record.bytes:
        return [f"'{where}' has {size:,} bytes, its record says {record.bytes:,}"]
    digest = hashlib.sha256()
    with filesystem.open(path, "rb") as stream:
        while block := stream.read(READ_BYTES):
            digest.update(block)
    if digest.hexdigest() != record.sha256:
        return [f"'{where}' has SHA-256 {digest.hexdigest()}, its record says {record.sha256}: bytes have changed"]
    return []


def stored_keys(root: str, record: ShardRecord) -> list[str]:
    """The keys that the tar really holds, in order, each at the place its record gives."""
    filesystem, path = fsspec.core.url_to_fs(join(root, record.name))
    keys: list[str] = []
    with filesystem.open(path, "rb") as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        starts = {sample.offset: sample.key for sample in record.samples}
        for member in archive:
            key = member.name.partition(".")[0]
            if not keys or keys[-1] != key:
                keys.append(key if starts.get(member.offset) == key else f"{key} at byte {member.offset}")
    return keys
