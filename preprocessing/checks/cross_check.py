"""A comparison of stored clips with their videos, decoded again by another decoder: ffmpeg's command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from pydantic import ValidationError

from preprocessing.checks.config import VerifyConfig
from preprocessing.checks.ffmpeg_reference import PlainClip, compare, decode_with_ffmpeg
from preprocessing.config import PreprocessConfig
from preprocessing.datasets.base import locate
from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.child import encode_jpeg
from preprocessing.errors import DataError
from preprocessing.schema import DatasetIndex, ShardRecord, StoredKey
from preprocessing.settings import first_problem
from preprocessing.storage.store import Store, StoreError
from preprocessing.storage.stored_sample import SampleError, StoredSample, read_sample

# Containers round times to a millisecond.
MAX_TIME_DIFFERENCE_SECONDS = 0.001
# Mean over a frame, both sides stored as JPEG: two scalers differ by one or two levels, another picture by tens.
MAX_PIXEL_DIFFERENCE = 6.0
# Jittering timestamps are averaged by both decoders, over the clip by the one and over a second by the other.
MAX_LAG_SECONDS = 0.01
# Half a sample of difference takes this much from sound at the highest frequencies.
MIN_CORRELATION = 0.9


def cross_check(store: Store, index: DatasetIndex, records: Sequence[ShardRecord], config: VerifyConfig) -> list[str]:
    """Decode `config.clips` clips again from their videos and return the differences, one line each.

    Raises:
        DataError: if the data set was made with settings that this version does not know.
    """
    try:
        options = PreprocessConfig.model_validate(index.config).decode_options.at_given_starts()
    except ValidationError as error:
        raise DataError(f"'{store.root}' was made with settings of another version: {first_problem(error)}") from error
    problems: list[str] = []
    for record, clip in spread_evenly(records, config.clips):
        try:
            found = list(differences(read_sample(store, record.name, clip, index.format), config.videos, options))
        except (SampleError, StoreError, FileNotFoundError) as error:
            found = [error.problem if isinstance(error, SampleError) else str(error)]
        problems += [f"'{store.url(record.name)}' clip '{clip.key}': {line}" for line in found]
    return problems


def spread_evenly(records: Sequence[ShardRecord], count: int) -> list[tuple[ShardRecord, StoredKey]]:
    """At most `count` clips, evenly over all shards, each with the record of its shard."""
    clips = [(record, clip) for record in records for clip in record.samples]
    chosen = np.unique(np.linspace(0, len(clips) - 1, min(count, len(clips))).round().astype(int))
    return [clips[position] for position in chosen]


def differences(sample: StoredSample, roots: Sequence[Path], options: DecodeOptions) -> Iterator[str]:
    """Differences between a stored sample and its video.

    Raises:
        SampleError: if the sample is damaged.
    """
    record = sample.record()
    frames = tuple(sample.frame(index) for index in range(sample.clip_format.num_segments))
    stored = PlainClip(frames, record.frame_seconds, sample.waveform().astype(np.float32) / np.float32(32768))
    try:
        path, root = locate(record.source, roots)
        seen = decode_with_ffmpeg(path, options, root=root, start_seconds=record.start_seconds)
    except DecodeError as error:
        yield f"ffmpeg cannot decode '{record.source}': {error}"
        return
    as_stored = tuple(through_jpeg(frame, options.jpeg_quality) for frame in seen.frames)
    agreement = compare(stored, PlainClip(as_stored, seen.frame_seconds, seen.samples))
    if agreement.frame_seconds > MAX_TIME_DIFFERENCE_SECONDS:
        yield f"a frame lies {agreement.frame_seconds:.3f} s beside the one that ffmpeg finds"
    if agreement.pixels > MAX_PIXEL_DIFFERENCE:
        yield f"a frame differs by {agreement.pixels:.1f} of 255 levels on average, {MAX_PIXEL_DIFFERENCE:g} allowed"
    lag_seconds = agreement.sound_lag_samples / options.sample_rate_hz
    if abs(lag_seconds) > MAX_LAG_SECONDS:
        yield f"the sound lies {lag_seconds:+.3f} s beside where ffmpeg puts it"
    if agreement.sound_correlation < MIN_CORRELATION:
        yield f"the sound correlates by {agreement.sound_correlation:.3f}, {MIN_CORRELATION:g} needed"


def through_jpeg(frame: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """A picture `[height, width, 3]` after it was stored as JPEG."""
    return np.asarray(simplejpeg.decode_jpeg(encode_jpeg(frame, quality)), np.uint8)
