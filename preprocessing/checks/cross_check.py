"""Whether a finished data set holds what its videos show and play, by the word of another decoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from preprocessing.checks.ffmpeg_reference import PlainClip, compare, decode_with_ffmpeg
from preprocessing.config import PreprocessConfig
from preprocessing.datasets.base import locate
from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.child import encode_jpeg
from preprocessing.inspection.sample import Sample, decode_flac, read_sample
from preprocessing.inspection.stored import Place
from preprocessing.storage.records import load_index, load_shard_record

# Containers round times to a millisecond.
MAX_TIME_DIFFERENCE_SECONDS = 0.001
# Mean over a frame, both sides stored as JPEG: two scalers differ by one or two levels, another picture by tens.
MAX_PIXEL_DIFFERENCE = 6.0
# Jittering timestamps are followed by one decoder and averaged by the other.
MAX_LAG_SECONDS = 0.01
# Half a sample of difference takes this much from sound at the highest frequencies.
MIN_CORRELATION = 0.9


def cross_check(data: str, roots: Sequence[Path], *, num_clips: int) -> list[str]:
    """What of the data set at `data` differs from its videos below the folders `roots`, one line each.

    `num_clips` samples, evenly spread over all shards, are decoded again from their videos by ffmpeg's command line.

    Raises:
        ValueError: if `data` is no finished data set.
    """
    index = load_index(data)
    options = PreprocessConfig.model_validate(index.config).decode_options
    records = [load_shard_record(data, shard.name) for shards in index.shards.values() for shard in shards]
    places = [Place(record.name, record.split, sample) for record in records for sample in record.samples]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(num_clips, len(places))).round().astype(int))
    problems: list[str] = []
    for place in (places[position] for position in chosen):
        found = differences(read_sample(data, place, index.format), roots, options)
        problems += [f"'{place.shard}', clip '{place.sample.key}': {line}" for line in found]
    return problems


def differences(sample: Sample, roots: Sequence[Path], options: DecodeOptions) -> Iterator[str]:
    """How a stored sample differs from its video."""
    try:
        path, root = locate(sample.record.source, roots)
        seen = decode_with_ffmpeg(path, options, root=root, start_seconds=sample.record.start_seconds)
    except DecodeError as error:
        yield f"ffmpeg cannot decode '{sample.record.source}': {error}"
        return
    as_stored = tuple(read_jpeg(encode_jpeg(frame, options.jpeg_quality)) for frame in seen.frames)
    waveform = decode_flac(sample.flac).astype(np.float32) / np.float32(32768)
    stored = PlainClip(tuple(map(read_jpeg, sample.jpegs)), sample.record.frame_seconds, waveform)
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


def read_jpeg(jpeg: bytes) -> NDArray[np.uint8]:
    """A picture as RGB `[height, width, 3]`."""
    return np.asarray(simplejpeg.decode_jpeg(jpeg), np.uint8)
