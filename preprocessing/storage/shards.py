"""A shard: a plain tar with fixed bytes, and the record beside it that says it is complete.

The record is written after the tar. Who finds a record finds a finished shard.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType

from preprocessing.schema import Rejection, ShardRecord, Split, StoredKey
from preprocessing.storage.atomic_file import AtomicFile, write_file
from preprocessing.storage.records import record_name
from preprocessing.storage.store import Store

END_OF_ARCHIVE = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class NewSample:
    """A clip that is to be stored."""

    key: str
    label: int
    source_sha256: str
    """Of the video that it was made from."""
    members: Mapping[str, bytes]
    """Content of each file by its name after the key, in the order in which they are stored."""


def write_shard(
    root: str,
    name: str,
    clips: Iterable[NewSample | Rejection],
    *,
    split: Split,
    plan_sha256: str,
    libraries: dict[str, str],
) -> ShardRecord:
    """Write a shard of the data set at `root`, and then its record, which also names the clips that were rejected.

    Raises:
        StoreError: if the disk is full or the store does not take it; nothing of the shard is then left.
    """
    rejected: list[Rejection] = []
    with ShardWriter(Store(root), name) as writer:
        for clip in clips:
            if isinstance(clip, Rejection):
                rejected.append(clip)
            else:
                writer.add(clip.key, label=clip.label, source_sha256=clip.source_sha256, members=clip.members)
        return writer.commit(split=split, plan_sha256=plan_sha256, rejected=tuple(rejected), libraries=libraries)


class ShardWriter:
    """A shard on its way: nothing has its name before `commit`.

    with ShardWriter(store, "train/000000.tar") as shard:
        shard.add("key", label=3, source_sha256=..., members={"json": b"{}"})
        record = shard.commit(split="train", plan_sha256=..., rejected=(), libraries={})

    Raises:
        StoreError: if the disk is full or the store does not take it; nothing of the shard is then left.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._file = AtomicFile(store, name)
        self._samples: list[StoredKey] = []
        self._digest = hashlib.sha256()
        self._num_bytes = 0

    def __enter__(self) -> ShardWriter:
        self._file.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def add(self, key: str, *, label: int, source_sha256: str, members: Mapping[str, bytes]) -> None:
        """Append a sample: each member is stored as `<key>.<name>`, in the order given."""
        offset = self._num_bytes
        for name, data in members.items():
            self._write(tar_member(f"{key}.{name}", data))
        length = self._num_bytes - offset
        self._samples.append(StoredKey(key=key, label=label, offset=offset, length=length, source_sha256=source_sha256))

    def commit(
        self, *, split: Split, plan_sha256: str, rejected: tuple[Rejection, ...], libraries: dict[str, str]
    ) -> ShardRecord:
        """Finish the tar, give it its name, then write its record."""
        self._write(END_OF_ARCHIVE)
        self._file.commit()
        record = ShardRecord(
            name=self._name,
            split=split,
            plan_sha256=plan_sha256,
            bytes=self._num_bytes,
            sha256=self._digest.hexdigest(),
            samples=tuple(self._samples),
            rejected=rejected,
            libraries=libraries,
        )
        write_file(self._store, record_name(self._name), record.model_dump_json(indent=1).encode() + b"\n")
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
