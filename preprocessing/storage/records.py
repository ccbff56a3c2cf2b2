"""The records of a stored data set, read from its store: `dataset.json`, and one beside every shard."""

from __future__ import annotations

import json

from pydantic import ValidationError

from preprocessing.errors import DataError, PlaceError
from preprocessing.schema import FORMAT_VERSION, INDEX_NAME, DatasetIndex, ShardRecord
from preprocessing.settings import first_problem
from preprocessing.storage.migrations import Step, migrated
from preprocessing.storage.store import Store

STEPS: dict[int, Step] = {}
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
        text = store.read(INDEX_NAME)
    except FileNotFoundError:
        raise PlaceError(
            f"'{path}' does not exist: '{root}' is not a finished data set; run `python -m pipeline preprocess` on it"
        ) from None
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise DataError(f"'{path}' is damaged: {error}") from error
    try:
        return DatasetIndex.model_validate(migrated(raw, to=FORMAT_VERSION, steps=STEPS, what=f"'{path}'"))
    except ValidationError as error:
        raise DataError(f"'{path}' is damaged: {first_problem(error)}") from error


def record_name(shard_name: str) -> str:
    """The name of a shard's commit record."""
    return shard_name.removesuffix(".tar") + ".json"


def load_shard_record(root: str, shard_name: str) -> ShardRecord:
    """Read the commit record of `shard_name` (`train/000000.tar`).

    Raises:
        FileNotFoundError: if there is none.
        DataError: if it is no record.
    """
    store, name = Store(root), record_name(shard_name)
    try:
        return ShardRecord.model_validate_json(store.read(name))
    except ValidationError as error:
        raise DataError(f"'{store.url(name)}' is not a shard's record: {first_problem(error)}") from error
