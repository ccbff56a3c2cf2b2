"""Checks of one stored shard: its bytes, its keys, and every member of every sample."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from preprocessing.schema import ClipFormat, ClipRecord, ShardRecord, StoredKey
from preprocessing.storage.shards import END_OF_ARCHIVE
from preprocessing.storage.store import Readable, Store, StoreError
from preprocessing.storage.stored_sample import SampleError, StoredSample, split_sample

MOST_PROBLEMS_PER_SHARD = 5


@dataclass(frozen=True)
class Expected:
    """The format and the classes that the samples of a data set must have."""

    format: ClipFormat
    classes: tuple[str, ...]


def shard_problems(root: str, record: ShardRecord, expected: Expected) -> list[str]:
    """Problems of a shard, measured against its record, one line each; empty if there are none.

    If its bytes have changed, that alone is said. Otherwise every sample is opened: a shard can hold exactly what was
    written and still not what should have been.
    """
    store = Store(root)
    try:
        size = store.size(record.name)
        if size is None:
            return ["is missing"]
        if size != record.bytes:
            return [f"has {size:,} bytes, its record says {record.bytes:,}"]
        return store.stream(record.name, lambda stream: problems_in(stream, record, expected))
    except (StoreError, FileNotFoundError) as error:
        return [f"cannot be read: {error}"]


def problems_in(stream: Readable, record: ShardRecord, expected: Expected) -> list[str]:
    """Read a shard once, hashing it and opening its samples on the way; no more than one sample is in memory."""
    digest = hashlib.sha256()
    problems: list[str] = []
    position = 0
    for clip in record.samples:
        if clip.offset != position:
            problems.append(f"record: sample '{clip.key}' begins at byte {clip.offset:,}, not at {position:,}")
        data = stream.read(clip.length)
        digest.update(data)
        position += len(data)
        if len(problems) < MOST_PROBLEMS_PER_SHARD:
            problems += [str(problem) for problem in sample_problems(data, clip, expected)]
    rest = stream.read()
    digest.update(rest)
    if digest.hexdigest() != record.sha256:
        return [f"has SHA-256 {digest.hexdigest()}, its record says {record.sha256}: bytes have changed"]
    if rest != END_OF_ARCHIVE:
        problems.append(f"{len(rest):,} bytes follow the last clip that its record names")
    return problems


def sample_problems(data: bytes, clip: StoredKey, expected: Expected) -> list[SampleError]:
    """All that is wrong with one sample, as the piece of tar that holds it."""
    try:
        sample = split_sample(data, clip.key, expected.format, strict=True)
    except SampleError as error:
        return [error]
    return [
        *problems_of(lambda: check_record(sample.record(), clip, expected)),
        *(
            problem
            for index in range(expected.format.num_segments)
            for problem in problems_of(partial(sample.frame, index))
        ),
        *problems_of(sample.waveform),
        *problems_of(lambda: check_range(sample)),
    ]


def problems_of(check: Callable[[], object]) -> Iterator[SampleError]:
    """The problem that a check finds, if it finds one."""
    try:
        check()
    except SampleError as error:
        yield error


def check_record(record: ClipRecord, clip: StoredKey, expected: Expected) -> None:
    """Compare `<key>.json` with the shard's record.

    Raises:
        SampleError: naming the first difference.
    """
    if not 0 <= record.label < len(expected.classes):
        raise SampleError(clip.key, f"label {record.label} is none of the {len(expected.classes)} classes")
    stands = (record.key, record.label, record.class_name, record.source_sha256)
    should = (clip.key, clip.label, expected.classes[record.label], clip.source_sha256)
    for one, two in zip(stands, should, strict=True):
        if one != two:
            raise SampleError(clip.key, f"its json says {one!r}, the shard's record {two!r}")


def check_range(sample: StoredSample) -> None:
    """Make sure that the log-mel patches lie in [0, 1].

    Raises:
        SampleError: if one does not.
    """
    patches = sample.logmel()
    if not (np.isfinite(patches).all() and patches.min() >= 0 and patches.max() <= 1):
        problem = f"the log-mel values reach from {patches.min()} to {patches.max()}; allowed: 0 to 1"
        raise SampleError(sample.key, problem)
