"""The records of a stored data set, read from its store: `dataset.json`, and one beside every shard."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from preprocessing.errors import DataError, PlaceError
from preprocessing.schema import FORMAT_VERSION, INDEX_NAME, DatasetIndex, ShardRecord
from preprocessing.settings import first_problem
from preprocessing.storage.migrations import Step, migrated
from preprocessing.storage.parsing import parse_json
from preprocessing.storage.store import Store

STEPS: dict[int, Step] = {2: lambda record: {**record, "accounting": None}}
"""By format version of `dataset.json`, the function that makes it one of the next; 2 is the oldest that is read."""


def load_index(root: str) -> DatasetIndex:
    """Read `dataset.json` of a finished data set (local folder or fsspec URL).

    Raises:
        ValueError: if there is none (preprocessing did not finish), it is damaged, or its format version is another.
        StoreError: if the store does not give it.
    """
    store = Store(root)
    path = store.url(INDEX_NAME)
    try:
        data = store.read(INDEX_NAME)
    except FileNotFoundError:
        if store.folder is not None and not store.folder.exists():
            raise PlaceError(
                f"'{root}' does not exist, so it is not a finished data set (the current folder is '{Path.cwd()}'); "
                "name the folder that `python -m pipeline preprocess` has written"
            ) from None
        raise PlaceError(
            f"'{path}' does not exist: '{root}' is not a finished data set; run `python -m pipeline preprocess` on it"
        ) from None
    record = migrated(parse_json(data, what=f"'{path}'"), to=FORMAT_VERSION, steps=STEPS, what=f"'{path}'")
    try:
        return DatasetIndex.model_validate(record)
    except ValidationError as error:
        raise DataError(f"'{path}' is damaged: {first_problem(error)}") from error


def record_name(shard_name: str) -> str:
    """The name of a shard's commit record."""
    return shard_name.removesuffix(".tar") + ".json"


def load_shard_record(root: str, shard_name: str) -> ShardRecord:
    """Read the commit record of `shard_name` (`train/000000.tar`).

    Raises:
        FileNotFoundError: if there is none.
        DataError: if it is no record, or another shard's, or a clip is in it twice.
    """
    store, name = Store(root), record_name(shard_name)
    try:
        record = ShardRecord.model_validate_json(store.read(name))
    except ValidationError as error:
        raise DataError(f"'{store.url(name)}' is not a shard's record: {first_problem(error)}") from error
    if record.name != shard_name:
        raise DataError(f"'{store.url(name)}' is the record of '{record.name}'; allowed: of '{shard_name}'")
    if twice := [key for key, count in Counter(clip.key for clip in record.samples).items() if count > 1]:
        raise DataError(f"'{store.url(name)}' lists clip '{twice[0]}' twice; allowed: once")
    return record


@dataclass(frozen=True)
class FinishedShard:
    """A shard that an earlier run finished."""

    record: ShardRecord
    written_at: datetime | None
    """The time of its record; None if the store does not say."""


def find_finished(root: str, shard_name: str, *, plan_sha256: str, hashed: bool = False) -> FinishedShard | None:
    """Find a shard that an earlier run of the same plan finished: it has the bytes that its record counts.

    With `hashed`, they must also have the record's SHA-256.

    Raises:
        StoreError: if the store does not give it.
    """
    store = Store(root)
    try:
        record = ShardRecord.model_validate_json(store.read(record_name(shard_name)))
    except (FileNotFoundError, ValidationError):  # none, or none of ours
        return None
    if record.plan_sha256 != plan_sha256 or store.size(shard_name) != record.bytes:
        return None
    if hashed and store.sha256(shard_name) != record.sha256:
        return None
    return FinishedShard(record, store.modified(record_name(shard_name)))
