"""What one task does: build one shard, or find it finished."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from preprocessing.datasets.base import locate
from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.parent import DecoderProcess, ProcessLimits
from preprocessing.plan import PlannedClip, PlannedShard
from preprocessing.schema import ClipFormat, Rejection, ShardRecord
from preprocessing.storage.libraries import library_versions
from preprocessing.storage.records import record_name
from preprocessing.storage.shards import ShardWriter, finished_record, sha256_of
from preprocessing.storage.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShardJob:
    """Everything that building a shard needs."""

    output: str
    data_roots: tuple[Path, ...]
    """Folders that hold the videos."""
    shard: PlannedShard
    plan_sha256: str
    clip_format: ClipFormat
    options: DecodeOptions
    limits: ProcessLimits
    repair: bool = False
    """Whether a finished shard is hashed, with its videos, and built again if anything has changed."""


@dataclass(frozen=True)
class BuiltShard:
    """A finished shard."""

    record: ShardRecord
    reused: bool
    """Whether an earlier run had finished it."""
    changed: tuple[str, ...] = ()
    """Its videos that have changed since; only if it is reused."""


def build_shard(job: ShardJob) -> BuiltShard:
    """Build a shard, unless it is finished: then nothing is written.

    Building it twice, also at the same time, gives the same bytes under the same name.

    Raises:
        StoreError: if the output cannot be read or written.
    """
    store = Store(job.output)
    record = finished_record(store, job.shard.name, plan_sha256=job.plan_sha256, hashed=job.repair)
    if record is not None:
        changed = changed_sources(job, store, record)
        if not (changed and job.repair):
            return BuiltShard(record, reused=True, changed=changed)
    return BuiltShard(write_shard(job, store), reused=False)


def write_shard(job: ShardJob, store: Store) -> ShardRecord:
    """Decode the planned clips and write the shard."""
    # Imported here: torch takes seconds to load, and a task that finds its shard finished must not wait for it.
    import torch

    from preprocessing.storage.sample_builder import SampleBuilder

    torch.set_num_threads(1)
    builder = SampleBuilder(job.clip_format)
    rejected: list[Rejection] = []
    with DecoderProcess(job.options, job.limits) as decoder, ShardWriter(store, job.shard.name) as writer:
        for planned in job.shard.clips:
            path, root = locate(planned.source, job.data_roots)
            try:
                clip = decoder.decode(path, root=root, start_seconds=planned.start_seconds)
            except DecodeError as error:
                rejected.append(rejection(planned, job, error))
                continue
            members = builder.build(planned, clip)
            writer.add(planned.key, label=planned.label, source_sha256=clip.source_sha256, members=members)
        return writer.commit(
            split=job.shard.split,
            plan_sha256=job.plan_sha256,
            rejected=tuple(rejected),
            libraries=library_versions(),
        )


def changed_sources(job: ShardJob, store: Store, record: ShardRecord) -> tuple[str, ...]:
    """The videos of a finished shard whose bytes are no longer those it was made from.

    Videos that were last written before the shard's record are taken to be the same, unless `job.repair`; others are
    hashed, so that copying or touching them is no change.
    """
    written = store.modified(record_name(record.name))
    made_from = {sample.key: sample.source_sha256 for sample in record.samples}
    changed: list[str] = []
    for planned in job.shard.clips:
        path, _ = locate(planned.source, job.data_roots)
        if planned.key not in made_from or not path.is_file():
            continue
        is_older = written is not None and path.stat().st_mtime < written.timestamp()
        if is_older and not job.repair:
            continue
        with path.open("rb") as stream:
            if sha256_of(stream) != made_from[planned.key]:
                changed.append(planned.source)
    return tuple(changed)


def rejection(planned: PlannedClip, job: ShardJob, error: DecodeError) -> Rejection:
    """How a clip that cannot be stored is recorded: its paths relative to the data set's roots, which may move."""
    detail = error.detail
    for root in job.data_roots:
        detail = detail.replace(f"{root}/", "")
    return Rejection(file=planned.source, split=job.shard.split, reason=error.reason, detail=detail)
