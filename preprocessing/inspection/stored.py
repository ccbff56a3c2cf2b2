"""A data set as it is found in its folder, finished or not: its records, its rejections, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from pydantic import ValidationError

from preprocessing.errors import DataError, PlaceError, UserError
from preprocessing.plan import load_plan
from preprocessing.reporting.csv_text import csv_rows
from preprocessing.schema import (
    INDEX_NAME,
    PLAN_NAME,
    REJECTED_NAME,
    Accounting,
    ClipFormat,
    Rejection,
    ShardRecord,
    Split,
    StoredKey,
)
from preprocessing.settings import first_problem
from preprocessing.storage.parsing import MAX_PLAN_BYTES
from preprocessing.storage.records import load_index, load_shard_record
from preprocessing.storage.store import Store
from preprocessing.storage.stored_sample import StoredSample, read_sample

NUM_READERS = 8
"""Threads that read: many small files, perhaps far away."""


@dataclass(frozen=True)
class StoredClip:
    """One clip of a data set: its shard, its split, and its entry in the shard's record."""

    shard: str
    split: Split
    sample: StoredKey


@dataclass(frozen=True)
class StoredDataset:
    """A data set, finished or not: what its records, its plan and its list of rejections say."""

    root: str
    name: str
    format: ClipFormat
    classes: tuple[str, ...]
    records: tuple[ShardRecord, ...]
    """Records of the shards that are there."""
    rejected: tuple[Rejection, ...]
    missing: tuple[str, ...]
    """Shards that should be there and are not, each with the reason."""
    is_finished: bool
    """True if `dataset.json` is there."""
    plan_sha256: str
    content_sha256: str | None
    """None until it is finished."""
    settings: dict[str, object]
    """The settings that made it."""
    accounting: Accounting | None = None
    """All that was seen in the folders and lists, against what is used; None until it is finished, and of data sets
    of format version 2."""

    @property
    def clips(self) -> Iterator[StoredClip]:
        """All stored clips, in stored order."""
        for record in self.records:
            for sample in record.samples:
                yield StoredClip(record.name, record.split, sample)

    @cached_property
    def store(self) -> Store:
        """The store that holds its files."""
        return Store(self.root)

    def read(self, clip: StoredClip) -> StoredSample:
        """Read one clip, and nothing else of its shard.

        Raises:
            SampleError: if the shard holds something else there.
            FileNotFoundError: if there is no such shard.
            StoreError: if the store does not give it.
        """
        return read_sample(self.store, clip.shard, clip.sample, self.format)

    @property
    def num_clips(self) -> dict[Split, int]:
        """Stored clips by split."""
        counts: dict[Split, int] = {"train": 0, "validation": 0, "test": 0}
        for record in self.records:
            counts[record.split] += len(record.samples)
        return counts

    @property
    def num_bytes(self) -> int:
        """Size of all shards that are there."""
        return sum(record.bytes for record in self.records)

    @property
    def libraries(self) -> tuple[str, ...]:
        """The library versions that its shards were built with, in words; one if all were built with the same."""
        found = (", ".join(f"{name} {number}" for name, number in each.libraries.items()) for each in self.records)
        return tuple(dict.fromkeys(found))

    def class_name(self, label: int) -> str:
        """The name of a label; one that is out of range is told as it is."""
        return self.classes[label] if 0 <= label < len(self.classes) else f"label {label}"


def find_dataset(root: str) -> StoredDataset:
    """Read everything but the shards of the data set at `root` (local folder or fsspec URL).

    Raises:
        ValueError: if there is neither a finished data set nor a plan of one.
    """
    store = Store(root)
    if store.size(INDEX_NAME) is not None:
        return finished(root)
    if store.size(PLAN_NAME) is not None:
        return unfinished(root)
    raise PlaceError(
        f"'{root}' holds neither a data set (dataset.json) nor one that is being made (plan.json); "
        "give the `output` of `python -m pipeline preprocess`"
    )


def finished(root: str) -> StoredDataset:
    """A data set with its `dataset.json`."""
    index = load_index(root)
    names = [shard.name for shards in index.shards.values() for shard in shards]
    records, missing = load_records(root, names, plan_sha256=index.plan_sha256)
    return StoredDataset(
        root=root,
        name=index.name,
        format=index.format,
        classes=index.classes,
        records=records,
        rejected=rejections(root, records),
        missing=missing,
        is_finished=True,
        plan_sha256=index.plan_sha256,
        content_sha256=index.content_sha256,
        settings=index.config,
        accounting=index.accounting,
    )


def unfinished(root: str) -> StoredDataset:
    """A data set that is being made, or whose making stopped: what its plan says, and the shards so far."""
    store = Store(root)
    plan = load_plan(store)
    try:
        clip_format = ClipFormat.model_validate(plan.settings.get("format"))
    except ValidationError as error:
        raise DataError(f"'{store.url(PLAN_NAME)}' is not a plan of this version: {first_problem(error)}") from error
    records, missing = load_records(root, [shard.name for shard in plan.shards], plan_sha256=plan.sha256())
    dataset = plan.settings.get("dataset")
    return StoredDataset(
        root=root,
        name=str(dataset.get("name")) if isinstance(dataset, dict) else "",
        format=clip_format,
        classes=plan.classes,
        records=records,
        rejected=rejections(root, records),
        missing=missing,
        is_finished=False,
        plan_sha256=plan.sha256(),
        content_sha256=None,
        settings=plan.settings,
    )


def load_records(
    root: str, names: Sequence[str], *, plan_sha256: str
) -> tuple[tuple[ShardRecord, ...], tuple[str, ...]]:
    """The records of these shards, and a line for each that has none of this plan."""

    def load(name: str) -> ShardRecord | str:
        try:
            record = load_shard_record(root, name)
        except FileNotFoundError:
            return f"{name}: not there yet"
        except (OSError, UserError) as error:
            return f"{name}: its record cannot be read: {str(error).splitlines()[0]}"
        return record if record.plan_sha256 == plan_sha256 else f"{name}: made by another plan"

    with ThreadPoolExecutor(NUM_READERS) as pool:
        loaded = list(pool.map(load, names))
    return (
        tuple(each for each in loaded if isinstance(each, ShardRecord)),
        tuple(each for each in loaded if isinstance(each, str)),
    )


def rejections(root: str, records: Sequence[ShardRecord]) -> tuple[Rejection, ...]:
    """Every clip left out: those of `rejected.csv`, which exists once a run has ended, and those of the records."""
    found = {rejection: None for record in records for rejection in record.rejected}
    store = Store(root)
    if store.size(REJECTED_NAME) is not None:
        rows = csv_rows(store.read(REJECTED_NAME, max_bytes=MAX_PLAN_BYTES).decode("utf-8", "replace"))
        try:
            found |= {Rejection.model_validate(row): None for row in rows}
        except ValueError as error:
            problem = first_problem(error) if isinstance(error, ValidationError) else error
            raise DataError(f"'{store.url(REJECTED_NAME)}' is damaged: {problem}") from error
    return tuple(sorted(found, key=lambda rejection: (rejection.reason, rejection.split, rejection.file)))
