"""Checks of one stored shard: its bytes, its keys, and every member of every sample."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass

import av
import numpy as np
import simplejpeg
from pydantic import ValidationError

from preprocessing.schema import ClipFormat, ClipRecord, ShardRecord, StoredKey
from preprocessing.storage.shards import END_OF_ARCHIVE
from preprocessing.storage.store import Readable, Store, StoreError

MOST_PROBLEMS_PER_SHARD = 5


@dataclass(frozen=True)
class Expected:
    """What the samples of a data set must be."""

    format: ClipFormat
    classes: tuple[str, ...]


def shard_problems(root: str, record: ShardRecord, expected: Expected) -> list[str]:
    """What is wrong with a shard, measured against its record, one line each.

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
    for place in record.samples:
        if place.offset != position:
            problems.append(f"record: sample '{place.key}' begins at byte {place.offset:,}, not at {position:,}")
        data = stream.read(place.length)
        digest.update(data)
        position += len(data)
        if len(problems) < MOST_PROBLEMS_PER_SHARD:
            problems += [f"clip '{place.key}': {problem}" for problem in sample_problems(data, place, expected)]
    rest = stream.read()
    digest.update(rest)
    if digest.hexdigest() != record.sha256:
        return [f"has SHA-256 {digest.hexdigest()}, its record says {record.sha256}: bytes have changed"]
    if rest != END_OF_ARCHIVE:
        problems.append(f"{len(rest):,} bytes follow the last clip that its record names")
    return problems


def sample_problems(data: bytes, place: StoredKey, expected: Expected) -> list[str]:
    """What is wrong with one sample, as the piece of tar that holds it."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            members = {member.name: read(archive, member) for member in archive}
    except tarfile.TarError as error:
        return [f"is no readable tar: {error}"]
    frames = [f"frame_{index:02d}.jpg" for index in range(expected.format.num_segments)]
    names = [f"{place.key}.{name}" for name in ("audio.flac", *frames, "json", "logmel.npy")]
    if list(members) != names:
        wrong = next((name for name in [*members, *names] if name not in names or name not in members), "their order")
        return [f"holds other files than it should: {wrong!r}"]
    flac, *jpegs, text, npy = members.values()
    return [
        *record_problems(text, place, expected),
        *(
            f"frame {index}: {said}"
            for index, jpeg in enumerate(jpegs)
            for said in frame_problems(jpeg, expected.format)
        ),
        *sound_problems(flac, expected.format),
        *logmel_problems(npy, expected.format),
    ]


def read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """The bytes of a member; none if it is not a file."""
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


def record_problems(text: bytes, place: StoredKey, expected: Expected) -> list[str]:
    """What is wrong with `<key>.json`."""
    try:
        record = ClipRecord.model_validate_json(text)
    except ValidationError as error:
        return [f"its json is no clip record: {error.errors()[0]['msg']}"]
    if not 0 <= record.label < len(expected.classes):
        return [f"label {record.label} is none of the {len(expected.classes)} classes"]
    stands = (record.key, record.label, record.class_name, record.source_sha256)
    should = (place.key, place.label, expected.classes[record.label], place.source_sha256)
    return [
        f"its json says {one!r}, the shard's record {two!r}"
        for one, two in zip(stands, should, strict=True)
        if one != two
    ]


def frame_problems(jpeg: bytes, clip_format: ClipFormat) -> list[str]:
    """What is wrong with a stored frame."""
    size = clip_format.frame_size
    try:
        shape: Sequence[int] = simplejpeg.decode_jpeg(jpeg, strict=True).shape
    except ValueError as error:
        return [f"does not decode: {error}"]
    return [] if tuple(shape) == (size, size, 3) else [f"is {shape}, dataset.json says {(size, size, 3)}"]


def sound_problems(flac: bytes, clip_format: ClipFormat) -> list[str]:
    """What is wrong with the stored waveform."""
    wanted = clip_format.num_segments * clip_format.segment_samples
    try:
        with av.open(io.BytesIO(flac), "r", format="flac") as container:
            stream = container.streams.audio[0]
            num_samples = sum(frame.samples for frame in container.decode(stream))
            found = (stream.rate, stream.channels, num_samples)
    except (av.FFmpegError, IndexError) as error:
        return [f"the sound does not decode: {error}"]
    if found != (clip_format.sample_rate_hz, 1, wanted):
        return [
            f"the sound has {found[2]:,} samples of {found[1]} channels at {found[0]:,} Hz, dataset.json says "
            f"{wanted:,} of 1 at {clip_format.sample_rate_hz:,} Hz"
        ]
    return []


def logmel_problems(npy: bytes, clip_format: ClipFormat) -> list[str]:
    """What is wrong with the stored log-mel patches."""
    wanted = (clip_format.num_segments, clip_format.num_mels, clip_format.steps)
    try:
        patches = np.load(io.BytesIO(npy), allow_pickle=False)
    except (ValueError, EOFError) as error:
        return [f"the log-mel array cannot be read: {error}"]
    if patches.shape != wanted or patches.dtype != np.float16:
        return [f"the log-mel array is {patches.dtype} {patches.shape}, dataset.json says float16 {wanted}"]
    if not (np.isfinite(patches).all() and patches.min() >= 0 and patches.max() <= 1):
        return [f"the log-mel values reach from {patches.min()} to {patches.max()}; allowed: 0 to 1"]
    return []
