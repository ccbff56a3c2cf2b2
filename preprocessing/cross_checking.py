"""Whether a finished data set holds what its videos show and play, by the word of another decoder."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import fsspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preprocessing.config import PreprocessConfig
from preprocessing.datasets.base import locate
from preprocessing.decoder import encode_jpeg
from preprocessing.decoding import DecodeError, DecodeOptions
from preprocessing.ffmpeg_decoding import PlainClip, compare, decode_with_ffmpeg
from preprocessing.schema import ClipRecord, ShardRecord, StoredKey, join, load_index, load_shard_record

# Containers round times to a millisecond.
MAX_TIME_DIFFERENCE_SECONDS = 0.001
# Mean over a frame, both sides stored as JPEG: two scalers differ by one or two levels, another picture by tens.
MAX_PIXEL_DIFFERENCE = 6.0
# Jittering timestamps are followed by one decoder and averaged by the other.
MAX_LAG_SECONDS = 0.01
# Half a sample of difference takes this much from sound at the highest frequencies.
MIN_CORRELATION = 0.9


@dataclass(frozen=True)
class StoredSample:
    """A sample as it lies in its shard."""

    record: ClipRecord
    clip: PlainClip


def cross_check(data: str, roots: Sequence[Path], *, num_clips: int) -> list[str]:
    """What of the data set at `data` differs from its videos below the folders `roots`, one line each.

    `num_clips` samples, evenly spread over all shards, are decoded again from their videos by ffmpeg's command line.

    Raises:
        ValueError: if `data` is no finished data set.
    """
    index = load_index(data)
    options = PreprocessConfig.model_validate(index.config).decode_options
    records = [load_shard_record(data, shard.name) for shards in index.shards.values() for shard in shards]
    places = [(record, place) for record in records for place in record.samples]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(num_clips, len(places))).round().astype(int))
    problems: list[str] = []
    for position in chosen:
        record, place = places[position]
        sample = read_sample(data, record, place)
        problems += [f"'{record.name}', clip '{place.key}': {line}" for line in differences(sample, roots, options)]
    return problems


def differences(sample: StoredSample, roots: Sequence[Path], options: DecodeOptions) -> Iterator[str]:
    """How a stored sample differs from its video."""
    try:
        path, root = locate(sample.record.source, roots)
        seen = decode_with_ffmpeg(path, options, root=root, start_seconds=sample.record.start_seconds)
    except DecodeError as error:
        yield f"ffmpeg cannot decode '{sample.record.source}': {error}"
        return
    as_stored = [read_jpeg(encode_jpeg(frame, options.jpeg_quality)) for frame in seen.frames]
    agreement = compare(sample.clip, PlainClip(tuple(as_stored), seen.frame_seconds, seen.samples))
    if agreement.frame_seconds > MAX_TIME_DIFFERENCE_SECONDS:
        yield f"a frame lies {agreement.frame_seconds:.3f} s beside the one that ffmpeg finds"
    if agreement.pixels > MAX_PIXEL_DIFFERENCE:
        yield f"a frame differs by {agreement.pixels:.1f} of 255 levels on average, {MAX_PIXEL_DIFFERENCE:g} allowed"
    lag_seconds = agreement.sound_lag_samples / options.sample_rate_hz
    if abs(lag_seconds) > MAX_LAG_SECONDS:
        yield f"the sound lies {lag_seconds:+.3f} s beside where ffmpeg puts it"
    if agreement.sound_correlation < MIN_CORRELATION:
        yield f"the sound correlates by {agreement.sound_correlation:.3f}, {MIN_CORRELATION:g} needed"


def read_sample(data: str, record: ShardRecord, place: StoredKey) -> StoredSample:
    """Read one sample out of its shard."""
    with fsspec.open(join(data, record.name), "rb") as stream:
        stream.seek(place.offset)
        fragment = stream.read(place.length)
    with tarfile.open(fileobj=io.BytesIO(fragment + bytes(2 * tarfile.BLOCKSIZE))) as tar:
        members = {
            name.removeprefix(f"{place.key}."): file.read()
            for name in tar.getnames()
            if (file := tar.extractfile(name)) is not None
        }
    clip_record = ClipRecord.model_validate_json(members["json"])
    jpegs = [members[name] for name in sorted(members) if name.endswith(".jpg")]
    return StoredSample(
        record=clip_record,
        clip=PlainClip(
            frames=tuple(read_jpeg(jpeg) for jpeg in jpegs),
            frame_seconds=clip_record.frame_seconds,
            samples=read_flac(members["audio.flac"]),
        ),
    )


def read_jpeg(jpeg: bytes) -> NDArray[np.uint8]:
    """A picture as RGB `[height, width, 3]`."""
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def read_flac(flac: bytes) -> NDArray[np.float32]:
    """A mono waveform, full scale is [-1, 1]."""
    with av.open(io.BytesIO(flac), "r", format="flac") as container:
        blocks = [block.to_ndarray()[0] for block in container.decode(audio=0)]
    return np.concatenate(blocks).astype(np.float32) / np.float32(32768)
