"""What one task does: build one shard, or find it finished."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from preprocessing.datasets.base import locate
from preprocessing.decoding import DecodeError, DecodeOptions
from preprocessing.plan import PlannedClip, PlannedShard
from preprocessing.schema import ClipFormat, Rejection, ShardRecord
from preprocessing.shards import ShardWriter, finished_record
from preprocessing.supervision import DecoderProcess, ProcessLimits

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


@dataclass(frozen=True)
class BuiltShard:
    """A finished shard."""

    record: ShardRecord
    reused: bool
    """Whether an earlier run had finished it."""


def build_shard(job: ShardJob) -> BuiltShard:
    """Build a shard, unless it is finished and whole: then nothing is written.

    Building it twice, also at the same time, gives the same bytes under the same name.
    """
    record = finished_record(job.output, job.shard.name, plan_sha256=job.plan_sha256)
    if record is not None:
        return BuiltShard(record, reused=True)
    # Imported here: torch takes seconds to load, and a task that finds its shard finished must not wait for it.
    import torch

    from preprocessing.samples import SampleBuilder

    torch.set_num_threads(1)
    builder = SampleBuilder(job.clip_format)
    rejected: list[Rejection] = []
    with DecoderProcess(job.options, job.limits) as decoder, ShardWriter(job.output, job.shard.name) as writer:
        for planned in job.shard.clips:
            path, root = locate(planned.source, job.data_roots)
            try:
                clip = decoder.decode(path, root=root, start_seconds=planned.start_seconds)
            except DecodeError as error:
                rejected.append(rejection(planned, job, error))
                continue
            writer.add(planned.key, label=planned.label, members=builder.build(planned, clip))
        record = writer.commit(split=job.shard.split, plan_sha256=job.plan_sha256, rejected=tuple(rejected))
    return BuiltShard(record, reused=False)


def rejection(planned: PlannedClip, job: ShardJob, error: DecodeError) -> Rejection:
    """How a clip that cannot be stored is recorded: its paths relative to the data set's roots, which may move."""
    detail = error.detail
    for root in job.data_roots:
        detail = detail.replace(f"{root}/", "")
    return Rejection(file=planned.source, split=job.shard.split, reason=error.reason, detail=detail)
