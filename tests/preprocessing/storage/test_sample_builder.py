"""A stored sample: its log-mel patches are those of exactly its stored waveform."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from preprocessing.config import AcceptanceRules
from preprocessing.decoding.acceptance import DecodeOptions
from preprocessing.decoding.parent import DecoderProcess, ProcessLimits
from preprocessing.logmel import LogMel
from preprocessing.plan import PlannedClip
from preprocessing.schema import LOGMEL_MAX_DB, LOGMEL_MIN_DB, ClipFormat, ClipRecord, Tracks
from preprocessing.storage.sample_builder import SampleBuilder
from tests.preprocessing.recordings import Recording

FORMAT = ClipFormat(num_segments=4, segment_seconds=1.0, frame_size=32, num_mels=32)
FINE_FORMAT = ClipFormat(num_segments=95, segment_seconds=0.04, frame_size=32, num_mels=32, n_fft=512)
PLANNED = PlannedClip(key="-clip", label=2, class_name="singing", source="a/-clip.mp4", start_seconds=None)


@pytest.fixture(scope="module")
def fine_decoder() -> Iterator[DecoderProcess]:
    """Decodes 3.8 s in segments of 40 ms, whatever is missing of them."""
    rules = AcceptanceRules(missing_tail="pad").model_dump()
    options = DecodeOptions(
        num_segments=95, segment_seconds=0.04, sample_rate_hz=16_000, frame_size=32, jpeg_quality=95, **rules
    )
    with DecoderProcess(options, ProcessLimits(clip_seconds=60.0, memory_mib=2048)) as decoder:
        yield decoder


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
    assert (record.video_coverage, record.missing_frames) == (1.0, 0)
    assert record.audio_coverage > 0.99
    assert record.saturation_share == 0.0
    assert record.tracks is None


def test_the_record_names_the_tracks_of_a_video_with_several_and_else_has_the_bytes_it_always_had(
    video: Path, options: DecodeOptions
) -> None:
    with DecoderProcess(options, ProcessLimits(clip_seconds=30.0, memory_mib=2048)) as decoder:
        clip = decoder.decode(video, root=video.parent, start_seconds=None)
    several = clip.model_copy(update={"tracks": Tracks(video=0, num_video=1, audio=1, num_audio=2)})
    records = [SampleBuilder(FORMAT).build(PLANNED, one)["json"] for one in (clip, several)]
    assert b"tracks" not in records[0]
    assert records[1] == records[0][:-1] + b',"tracks":{"video":0,"num_video":1,"audio":1,"num_audio":2}}'


STEP_SECONDS = FINE_FORMAT.hop_length / FINE_FORMAT.sample_rate_hz


def test_a_stored_sample_shows_and_plays_everything_when_it_happened(
    recording: Recording, fine_decoder: DecoderProcess
) -> None:
    """Frames by their stored times and brightness, sound by the stored log-mel patches and the stored waveform.

    The window of a log-mel step lies half before its middle, so the step in whose middle a beep begins has half the
    beep's amplitude: a fifth of its power is the mark.
    """
    clip = fine_decoder.decode(recording.path, root=recording.path.parent, start_seconds=0.0)
    sample = SampleBuilder(FINE_FORMAT).build(PLANNED, clip)
    record = ClipRecord.model_validate_json(sample["json"])
    middles = (np.arange(95) + 0.5) * 0.04
    middles = middles[middles < recording.duration_seconds]
    on_screen = np.searchsorted(recording.frame_seconds, middles, side="right") - 1
    brightness = np.array([np.asarray(Image.open(io.BytesIO(sample[f"frame_{i:02d}.jpg"]))).mean() for i in range(95)])
    beeps = [beep for beep in recording.beeps if beep < 3.75]

    shown = np.array(recording.frame_seconds)[on_screen]
    assert record.frame_seconds[: len(middles)] == pytest.approx(shown.tolist(), abs=0.001)
    is_white = np.array(recording.is_white)[on_screen]
    assert brightness[: len(middles)][is_white].min() > 200
    assert brightness[: len(middles)][~is_white].max() < 50
    assert is_white.sum() >= 4
    assert starts_of(power_of(sample["logmel.npy"]), STEP_SECONDS) == pytest.approx(beeps, abs=STEP_SECONDS)
    assert starts_of(np.abs(clip.samples) / 32768.0, 1 / 16_000) == pytest.approx(beeps, abs=0.001)


def power_of(logmel: bytes) -> NDArray[np.float64]:
    """Power of each log-mel step, the steps of all patches in a row."""
    patches = np.load(io.BytesIO(logmel), allow_pickle=False).astype(np.float64)
    decibels = LOGMEL_MIN_DB + patches * (LOGMEL_MAX_DB - LOGMEL_MIN_DB)
    power: NDArray[np.float64] = (10 ** (decibels / 10)).sum(axis=1).reshape(-1)
    return power


def starts_of(loudness: NDArray[np.float64], step_seconds: float) -> list[float]:
    """When loudness passes a fifth of its highest value after a quarter of a second below it; steps count by their
    middles."""
    loud = np.flatnonzero(loudness > 0.2 * loudness.max())
    starts = loud[np.flatnonzero(np.diff(loud, prepend=-len(loudness)) > 0.25 / step_seconds)]
    return [(float(start) + 0.5) * step_seconds for start in starts]
