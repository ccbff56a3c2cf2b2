"""One task: build one shard, or find it finished."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from preprocessing.datasets.base import locate
from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.parent import DecoderProcess, ProcessLimits
from preprocessing.plan import PlannedClip, PlannedShard
from preprocessing.schema import ClipFormat, Rejection, ShardRecord
from preprocessing.storage.libraries import shard_libraries
from preprocessing.storage.records import FinishedShard, find_finished
from preprocessing.storage.shards import NewSample, write_shard


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
    """True: a finished shard is hashed, with its videos, and built again if anything has changed."""


@dataclass(frozen=True)
class BuiltShard:
    """A finished shard."""

    record: ShardRecord
    reused: bool
    """True if an earlier run had finished it."""
    changed: tuple[str, ...] = ()
    """Videos of it that have changed since; only if it is reused."""


@dataclass(frozen=True)
class LocatedClip:
    """A planned clip, the file of its video, and the root that the file lies in."""

    planned: PlannedClip
    path: Path
    root: Path


def build_shard(job: ShardJob) -> BuiltShard:
    """Build a shard, unless it is finished: then nothing is written.

    Building it twice, also at the same time, gives the same bytes under the same name.

    Raises:
        StoreError: if the output cannot be read or written.
    """
    clips = [LocatedClip(planned, *locate(planned.source, job.data_roots)) for planned in job.shard.clips]
    finished = find_finished(job.output, job.shard.name, plan_sha256=job.plan_sha256, hashed=job.repair)
    if finished is not None:
        changed = changed_sources(clips, finished, hash_all=job.repair)
        if not (changed and job.repair):
            return BuiltShard(finished.record, reused=True, changed=changed)
    with closing(decoded_clips(job, clips)) as decoded:
        record = write_shard(
            job.output,
            job.shard.name,
            decoded,
            split=job.shard.split,
            plan_sha256=job.plan_sha256,
            libraries=shard_libraries(),
        )
    return BuiltShard(record, reused=False)


def changed_sources(clips: Sequence[LocatedClip], shard: FinishedShard, *, hash_all: bool) -> tuple[str, ...]:
    """The videos of a finished shard whose bytes are no longer those it was made from.

    Videos that were last written before the shard's record are taken to be the same, unless `hash_all`; others are
    hashed, so that copying or touching them is no change.
    """
    made_from = {sample.key: sample.source_sha256 for sample in shard.record.samples}
    changed: list[str] = []
    for clip in clips:
        if clip.planned.key not in made_from or not clip.path.is_file():
            continue
        is_older = shard.written_at is not None and clip.path.stat().st_mtime < shard.written_at.timestamp()
        if is_older and not hash_all:
            continue
        with clip.path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != made_from[clip.planned.key]:
                changed.append(clip.planned.source)
    return tuple(changed)


def decoded_clips(job: ShardJob, clips: Sequence[LocatedClip]) -> Generator[NewSample | Rejection, None, None]:
    """Decode clips in order: each becomes a sample, or a rejection with its reason."""
    # Imported here: torch takes seconds to load, and a task that finds its shard finished must not wait for it.
    import torch

    from preprocessing.storage.sample_builder import SampleBuilder

    torch.set_num_threads(1)
    builder = SampleBuilder(job.clip_format)
    with DecoderProcess(job.options, job.limits) as decoder:
        for clip in clips:
            planned = clip.planned
            try:
                encoded = decoder.decode(clip.path, root=clip.root, start_seconds=planned.start_seconds)
            except DecodeError as error:
                yield rejection(planned, job, error)
                continue
            yield NewSample(planned.key, planned.label, encoded.source_sha256, builder.build(planned, encoded))


def rejection(planned: PlannedClip, job: ShardJob, error: DecodeError) -> Rejection:
    """The record of a clip that cannot be stored: its paths relative to the data set's roots, which may move."""
    detail = error.detail
    for root in job.data_roots:
        detail = detail.replace(f"{root}/", "")
    return Rejection(file=planned.source, split=job.shard.split, reason=error.reason, detail=detail)
