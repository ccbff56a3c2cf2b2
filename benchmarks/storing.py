"""How the rivals of preprocessing store what they decoded: the same JPEG, FLAC, log-mel, tar and hashes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preprocessing.decoding.child import encode_flac, encode_jpeg
from preprocessing.decoding.parent import EncodedClip
from preprocessing.plan import PlannedClip
from preprocessing.schema import ClipFormat
from preprocessing.storage.sample_builder import SampleBuilder
from preprocessing.storage.shards import ShardWriter
from preprocessing.storage.store import Store


@dataclass(frozen=True)
class DecodedVideo:
    """What a rival decoded."""

    frames: NDArray[np.uint8]
    """RGB `[segments, size, size, 3]`."""
    samples: NDArray[np.int16]
    """Mono at the stored rate, of any length."""
    source_sha256: str


def write_shard(output: Path, videos: Iterable[DecodedVideo], clip_format: ClipFormat, builder: SampleBuilder) -> int:
    """Store videos as one shard in `output`; returns how many there were."""
    num_clips = 0
    with ShardWriter(Store(str(output)), "train/000000.tar") as writer:
        for num_clips, video in enumerate(videos, start=1):
            planned = PlannedClip(key=f"clip{num_clips}", label=0, class_name="a", source="none", start_seconds=None)
            members = builder.build(planned, encoded(video, clip_format))
            writer.add(planned.key, label=0, source_sha256=video.source_sha256, members=members)
        writer.commit(split="train", plan_sha256="", rejected=(), libraries={})
    return num_clips


def encoded(video: DecodedVideo, clip_format: ClipFormat) -> EncodedClip:
    """Frames and waveform as they are stored; the waveform is cut, or continued by silence, to the clip's length."""
    samples = np.zeros(clip_format.num_segments * clip_format.segment_samples, dtype=np.int16)
    heard = video.samples[: len(samples)]
    samples[: len(heard)] = heard
    return EncodedClip(
        jpegs=tuple(encode_jpeg(frame, clip_format.jpeg_quality) for frame in video.frames),
        flac=encode_flac(samples, clip_format.sample_rate_hz),
        samples=samples,
        frame_seconds=(),
        start_seconds=0.0,
        end_seconds=clip_format.clip_seconds,
        video_coverage=1.0,
        audio_coverage=1.0,
        missing_frames=0,
        decode_errors=0,
        source_sha256=video.source_sha256,
    )
