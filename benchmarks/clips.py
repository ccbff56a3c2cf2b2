"""Made-up clips for benchmarks: a finished data set in seconds, without videos and without Ray."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preprocessing.checks.verify import content_hash
from preprocessing.decoding.child import encode_flac, encode_jpeg
from preprocessing.decoding.parent import EncodedClip
from preprocessing.plan import PlannedClip
from preprocessing.run import summarise
from preprocessing.schema import INDEX_NAME, ClipFormat, DatasetIndex, ShardRecord, Split
from preprocessing.storage.atomic_file import write_file
from preprocessing.storage.sample_builder import SampleBuilder
from preprocessing.storage.shards import ShardWriter
from preprocessing.storage.store import Store

NUM_CLASSES = 8
NUM_PICTURES = 32
"""So many different pictures are made; clips show them in different orders."""
SHARD_SIZE = 128


def write_clips(root: Path, clip_format: ClipFormat, *, num_train: int, num_validation: int = 1) -> None:
    """A data set of noise whose frames come to the size of photographs (17 KB at 224 pixels)."""
    source = ClipSource(clip_format)
    counts: dict[Split, int] = {"train": num_train, "validation": num_validation}
    records = [
        write_shard(root, split, range(first, min(first + SHARD_SIZE, count)), source)
        for split, count in counts.items()
        for first in range(0, count, SHARD_SIZE)
    ]
    index = DatasetIndex(
        name="noise",
        format=clip_format,
        classes=tuple(str(label) for label in range(NUM_CLASSES)),
        num_clips=counts,
        num_rejected=0,
        shards={split: tuple(summarise(record) for record in records if record.split == split) for split in counts},
        plan_sha256="",
        content_sha256=content_hash([record.sha256 for record in records]),
        config={},
    )
    write_file(Store(str(root)), INDEX_NAME, index.model_dump_json().encode())


class ClipSource:
    """Makes stored clips of one format."""

    def __init__(self, clip_format: ClipFormat) -> None:
        self._format = clip_format
        self._builder = SampleBuilder(clip_format)
        self._random = np.random.default_rng(0)
        pictures = [picture_like(self._random, clip_format.frame_size) for _ in range(NUM_PICTURES)]
        self._jpegs = [encode_jpeg(picture, clip_format.jpeg_quality) for picture in pictures]
        num_samples = clip_format.num_segments * clip_format.segment_samples
        self._samples = self._random.normal(0, 3000, num_samples).astype(np.int16)

    def members(self, planned: PlannedClip) -> dict[str, bytes]:
        """The files of a clip."""
        order = self._random.permutation(NUM_PICTURES)[: self._format.num_segments]
        clip = EncodedClip(
            jpegs=tuple(self._jpegs[index] for index in order),
            flac=encode_flac(self._samples, self._format.sample_rate_hz),
            samples=self._samples,
            frame_seconds=tuple(float(segment) for segment in range(self._format.num_segments)),
            start_seconds=0.0,
            end_seconds=self._format.clip_seconds,
            video_coverage=1.0,
            audio_coverage=1.0,
            missing_frames=0,
            decode_errors=0,
            source_sha256="0" * 64,
        )
        return self._builder.build(planned, clip)


def write_shard(root: Path, split: Split, numbers: range, source: ClipSource) -> ShardRecord:
    """Store the clips of these numbers."""
    with ShardWriter(Store(str(root)), f"{split}/{numbers.start // SHARD_SIZE:06d}.tar") as writer:
        for number in numbers:
            label = number % NUM_CLASSES
            planned = PlannedClip(
                key=f"{split}{number:06d}", label=label, class_name=str(label), source="none", start_seconds=None
            )
            writer.add(planned.key, label=label, source_sha256="0" * 64, members=source.members(planned))
        return writer.commit(split=split, plan_sha256="", rejected=(), libraries={})


def picture_like(random: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Noise of all scales, the coarse ones stronger, as in photographs."""
    picture = np.full((size, size, 3), 128.0)
    for octave in range(2, size.bit_length()):
        cells = 2**octave
        noise = random.normal(0, 100.0 / octave**1.6, (cells, cells, 3)).clip(-127, 127) + 128
        smooth = Image.fromarray(noise.astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
        picture += np.asarray(smooth, np.float64) - 128
    return picture.clip(0, 255).astype(np.uint8)
