"""Checks of a whole data set: every file, hash, count, key and sample, and on request its videos."""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
from collections.abc import Iterator

import ray
from pydantic import ValidationError

from preprocessing.checks.config import VerifyConfig
from preprocessing.checks.cross_check import cross_check
from preprocessing.checks.shard import Expected, shard_problems
from preprocessing.cluster.capacity import tasks_at_once
from preprocessing.cluster.shared_places import SharedPlace, require_shared
from preprocessing.config import PreprocessConfig
from preprocessing.plan import load_plan
from preprocessing.reporting.csv_text import csv_rows
from preprocessing.reporting.progress import Progress
from preprocessing.schema import INDEX_NAME, PLAN_NAME, REJECTED_NAME, SPLITS, DatasetIndex, ShardRecord, ShardSummary
from preprocessing.storage.atomic_file import TEMPORARY_PREFIX
from preprocessing.storage.parsing import MAX_PLAN_BYTES
from preprocessing.storage.records import load_index, load_shard_record, record_name
from preprocessing.storage.store import Store, StoreError

logger = logging.getLogger(__name__)


def verify(root: str, config: VerifyConfig | None = None) -> list[str]:
    """Check the data set at `root` and return its problems, one line each; empty if it is whole. Needs Ray.

    A damaged shard is a problem that names it and the command that builds it again, never an exception. With
    `config.videos`, some clips are also compared with what ffmpeg decodes of their videos.

    Raises:
        UserError: if `root` is no place that can be opened, or a node does not see the same one.
    """
    config = config or VerifyConfig()
    store = Store(root)
    try:
        index = load_index(root)
    except (ValueError, StoreError) as error:
        return [str(error)]
    problems, records = read_records(store, index)
    require_shared(
        SharedPlace("DIR", store.everywhere, INDEX_NAME),
        *(SharedPlace("videos", str(folder.resolve())) for folder in config.videos),
    )
    expected = Expected(format=index.format, classes=index.classes)
    for record, found in check_all(store, list(records.values()), expected):
        problems += [f"'{store.url(record.name)}' {problem}" for problem in found]
    repairable = bool(problems)
    problems += [
        *count_problems(index, records),
        *plan_problems(store, index, records),
        *rejection_problems(store, index),
        *extra_files(store, index),
    ]
    if repairable:
        problems.append(f"what is damaged is built again by: {repair_command(index)}")
    if config.videos:
        problems += cross_check(store, index, list(records.values()), config)
    return problems


def read_records(store: Store, index: DatasetIndex) -> tuple[list[str], dict[str, ShardRecord]]:
    """The records of the shards that `dataset.json` lists, by name, and what is wrong with the others."""
    problems: list[str] = []
    records: dict[str, ShardRecord] = {}
    for summary in (shard for shards in index.shards.values() for shard in shards):
        try:
            record = load_shard_record(store.root, summary.name)
        except (FileNotFoundError, ValueError, StoreError) as error:
            problems.append(f"the record of '{store.url(summary.name)}' cannot be read: {error}")
            continue
        stands = ShardSummary(
            name=record.name, num_samples=len(record.samples), bytes=record.bytes, sha256=record.sha256
        )
        if stands != summary:
            problems.append(f"the record of '{store.url(summary.name)}' and dataset.json disagree")
        else:
            records[summary.name] = record
    return problems, records


def check_all(store: Store, records: list[ShardRecord], expected: Expected) -> Iterator[tuple[ShardRecord, list[str]]]:
    """Every shard and what is wrong with it, in order; one Ray task each, and a line of progress now and then."""
    task = ray.remote(shard_problems).options(num_cpus=1)
    given: list[ray.ObjectRef[list[str]]] = []
    progress = Progress(len(records))
    num_damaged = 0
    for number, record in enumerate(records):
        more = records[len(given) : number + 2 * tasks_at_once()]
        given += [task.remote(store.everywhere, each, expected) for each in more]
        found = ray.get(given[number])
        num_damaged += bool(found)
        yield record, found
        progress.add()
        if progress.is_due():
            numbers = (progress.done, progress.total, num_damaged)
            logger.info("verified %d/%d shards, %d damaged, %s", *numbers, progress.time_left())


def count_problems(index: DatasetIndex, records: dict[str, ShardRecord]) -> list[str]:
    """Compare the counts and hashes of `dataset.json` with its shards, and find keys that are there twice."""
    problems: list[str] = []
    for split, shards in index.shards.items():
        listed = sum(shard.num_samples for shard in shards)
        if listed != index.num_clips[split]:
            problems.append(f"split '{split}' has {listed} clips, dataset.json says {index.num_clips[split]}")
    if content_sha256(index) != index.content_sha256:
        problems.append("dataset.json: content_sha256 does not follow from its shards")
    keys: dict[str, str] = {}
    for record in records.values():
        for sample in record.samples:
            other = keys.setdefault(sample.key, record.name)
            if other != record.name:
                problems.append(f"'{record.name}': key '{sample.key}' is also in '{other}'")
    return problems


def plan_problems(store: Store, index: DatasetIndex, records: dict[str, ShardRecord]) -> list[str]:
    """Compare the data set with `plan.json`: nothing may be lost, nothing there twice."""
    try:
        plan = load_plan(store)
    except (FileNotFoundError, ValueError, StoreError) as error:
        return [f"'{store.url(PLAN_NAME)}' cannot be read: {error}"]
    if plan.sha256() != index.plan_sha256:
        return [f"'{store.url(PLAN_NAME)}' has changed: dataset.json was made from another plan"]
    problems: list[str] = []
    for shard in plan.shards:
        record = records.get(shard.name)
        if record is None:
            continue
        if record.plan_sha256 != index.plan_sha256:
            problems.append(f"'{store.url(shard.name)}' belongs to another plan")
        rejected = {rejection.file for rejection in record.rejected}
        planned = [clip.key for clip in shard.clips if clip.source not in rejected]
        if planned != [sample.key for sample in record.samples]:
            problems.append(f"'{store.url(shard.name)}' holds other clips than were planned and not rejected")
    return problems


def rejection_problems(store: Store, index: DatasetIndex) -> list[str]:
    """Compare the number of videos in `rejected.csv` with that of `dataset.json`."""
    try:
        rows = sum(1 for _ in csv_rows(store.read(REJECTED_NAME, max_bytes=MAX_PLAN_BYTES).decode()))
    except (FileNotFoundError, ValueError, StoreError) as error:
        return [f"'{store.url(REJECTED_NAME)}' cannot be read: {error}"]
    if rows != index.num_rejected:
        return [f"'{store.url(REJECTED_NAME)}' lists {rows} videos, dataset.json says {index.num_rejected}"]
    return []


def extra_files(store: Store, index: DatasetIndex) -> list[str]:
    """Files among the shards that nothing names, and what killed runs have left."""
    try:
        names = store.names()
        plan = load_plan(store)
    except (FileNotFoundError, ValueError, StoreError):
        return []  # said elsewhere
    planned = [shard.name for shard in plan.shards]
    known = {*planned, *(record_name(name) for name in planned)}
    problems: list[str] = []
    for name in names:
        folder, _, file = name.rpartition("/")
        if file.startswith(TEMPORARY_PREFIX):
            problems.append(f"'{store.url(name)}' was left by a killed run; the next run removes it")
        elif folder.split("/")[0] in SPLITS and name not in known:
            problems.append(f"'{store.url(name)}' belongs to no shard of this data set; remove it")
    return problems


def repair_command(index: DatasetIndex) -> str:
    """The command that builds damaged shards again, ready for a shell: the settings that differ from their defaults."""
    try:
        config = PreprocessConfig.model_validate(index.config)
    except ValidationError:
        return "the `python -m pipeline preprocess` command that made it, with repair=true"
    chosen = config.model_dump(mode="json", exclude_defaults=True)
    chosen["dataset"] = {"name": config.dataset.name} | chosen["dataset"]
    words = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in leaves(chosen)]
    return shlex.join(["python", "-m", "pipeline", "preprocess", *words, "repair=true"])


def leaves(tree: dict[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted names and values of nested settings."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def content_sha256(index: DatasetIndex) -> str:
    """SHA-256 over the shards' SHA-256 in order: names the exact data."""
    return content_hash([shard.sha256 for shards in index.shards.values() for shard in shards])


def content_hash(shard_hashes: list[str]) -> str:
    """SHA-256 over hexadecimal hashes, one a line."""
    return hashlib.sha256("".join(f"{line}\n" for line in shard_hashes).encode()).hexdigest()
