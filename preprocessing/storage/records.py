"""The records of a stored data set, read from its store: `dataset.json`, and one beside every shard."""

from __future__ import annotations

import json

from preprocessing.schema import FORMAT_VERSION, INDEX_NAME, DatasetIndex, ShardRecord
from preprocessing.storage.store import Store


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
        raise ValueError(
            f"'{path}' does not exist: '{root}' is not a finished data set; run `python -m pipeline preprocess` on it"
        ) from None
    try:
        raw = json.loads(text)
        version = raw.get("format_version")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"'{path}' is damaged: {error}") from error
    if version != FORMAT_VERSION:
        raise ValueError(
            f"'{path}' has format version {version}, this code reads {FORMAT_VERSION}: preprocess the data set again"
        )
    return DatasetIndex.model_validate(raw)


def record_name(shard_name: str) -> str:
    """The name of a shard's commit record."""
    return shard_name.removesuffix(".tar") + ".json"


def load_shard_record(root: str, shard_name: str) -> ShardRecord:
    """Read the commit record of `shard_name` (`train/000000.tar`).

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is no record.
    """
    return ShardRecord.model_validate_json(Store(root).read(record_name(shard_name)))
