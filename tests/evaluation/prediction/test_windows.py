from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.prediction.windows import batch_of, decoded_windows, window_starts
from preprocessing.config import AcceptanceRules, DecodeLimits
from preprocessing.decoding.parent import DecoderProcess
from tests.small_checkpoint import TINY_FORMAT


@pytest.mark.parametrize(
    ("video_seconds", "hop_seconds", "starts"),
    [
        (2.0, 2.0, [0.0]),
        (1.5, 2.0, [0.0]),  # too short: the decoder says so
        (4.0, 2.0, [0.0, 2.0]),
        (5.0, 2.0, [0.0, 2.0, 3.0]),  # the last one ends with the video
        (2.1, 2.0, [0.0]),  # 0.1 s are less than a quarter of a segment
        (3.0, 0.5, [0.0, 0.5, 1.0]),
        (10.0, 5.0, [0.0, 5.0, 8.0]),  # windows may leave gaps
        (3.3, 1.1, [0.0, 1.1, 1.3]),
    ],
)
def test_windows_cover_a_video_to_its_end(video_seconds: float, hop_seconds: float, starts: list[float]) -> None:
    found = window_starts(video_seconds, clip_seconds=2.0, hop_seconds=hop_seconds, slack_seconds=0.125)
    assert list(found) == pytest.approx(starts)


def test_a_window_that_cannot_be_decoded_costs_no_other(videos: Path) -> None:
    """One that begins where the video ends has a reason."""
    options = AcceptanceRules().decode_options(TINY_FORMAT)
    with DecoderProcess(options, DecodeLimits().process_limits) as decoder:
        first, second = decoded_windows(decoder, videos / "a.mp4", options, root=videos, starts=(1.5, 0.0))
    assert first.clip is None
    assert first.refusal is not None
    assert first.refusal.reason == "too_short"
    assert second.clip is not None
    assert (second.start_seconds, second.end_seconds) == (0.0, 2.0)


def test_a_batch_holds_frames_and_either_form_of_sound(videos: Path) -> None:
    options = AcceptanceRules().decode_options(TINY_FORMAT)
    with DecoderProcess(options, DecodeLimits().process_limits) as decoder:
        clip = decoder.decode(videos / "a.mp4", root=videos, start_seconds=0.0)
    patches = batch_of([clip], TINY_FORMAT, audio_domain="logmel")
    samples = batch_of([clip], TINY_FORMAT, audio_domain="waveform")
    assert patches.frames.shape == (1, 4, 32, 32, 3)
    assert (patches.audio.shape, patches.audio.dtype) == ((1, 4, 32, 50), torch.float16)
    assert np.array_equal(samples.audio.flatten().numpy(), clip.samples)
    assert patches.keys == (f"{clip.source_sha256}@0.0",)
