"""A stored sample: its log-mel patches are those of exactly its stored waveform."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import torch

from preprocessing.decoding import DecodeOptions
from preprocessing.logmel import LogMel
from preprocessing.plan import PlannedClip
from preprocessing.samples import SampleBuilder
from preprocessing.schema import ClipFormat, ClipRecord
from preprocessing.supervision import DecoderProcess, ProcessLimits

FORMAT = ClipFormat(num_segments=4, segment_seconds=1.0, frame_size=32, num_mels=32)
PLANNED = PlannedClip(key="-clip", label=2, class_name="singing", source="a/-clip.mp4", start_seconds=None)


def members(video: Path, options: DecodeOptions) -> dict[str, bytes]:
    with DecoderProcess(options, ProcessLimits(clip_seconds=30.0, memory_mib=2048)) as decoder:
        return SampleBuilder(FORMAT).build(PLANNED, decoder.decode(video, root=video.parent, start_seconds=None))


def test_members_are_sorted_so_that_a_sample_stays_together(video: Path, options: DecodeOptions) -> None:
    names = list(members(video, options))
    assert names == sorted(names)
    assert names == ["audio.flac", *(f"frame_0{i}.jpg" for i in range(4)), "json", "logmel.npy"]


def test_patches_follow_from_the_stored_waveform_segment_by_segment(video: Path, options: DecodeOptions) -> None:
    import av

    sample = members(video, options)
    patches = np.load(io.BytesIO(sample["logmel.npy"]), allow_pickle=False)
    assert (patches.shape, patches.dtype) == ((4, 32, 100), np.float16)
    with av.open(io.BytesIO(sample["audio.flac"]), "r") as container:
        stream = container.streams.audio[0]
        waveform = np.concatenate([block.to_ndarray()[0] for block in container.decode(stream)])
    segments = torch.from_numpy(waveform.reshape(4, -1).astype(np.float32) / 32768.0)
    expected = torch.stack([LogMel(FORMAT)(segment) for segment in segments])
    assert np.allclose(patches, expected.numpy(), atol=1e-3)


def test_the_record_says_where_the_clip_comes_from(video: Path, options: DecodeOptions) -> None:
    record = ClipRecord.model_validate(json.loads(members(video, options)["json"]))
    assert (record.key, record.label, record.class_name, record.source) == ("-clip", 2, "singing", "a/-clip.mp4")
    assert record.frame_seconds == (0.48, 1.48, 2.48, 3.48)
    assert (record.start_seconds, record.end_seconds, record.decode_errors) == (0.0, 4.0, 0)
    assert record.audio_coverage > 0.99
    assert record.saturation_share == 0.0
