from __future__ import annotations

from pathlib import Path

import av
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


def shorter_sound(path: Path, folder: Path) -> Path:
    """A copy of a video without the packets of sound after 3 s."""
    copy = folder / "shorter.mp4"
    with av.open(str(path)) as source, av.open(str(copy), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.pts is not None and (packet.stream.type == "video" or packet.pts * packet.time_base < 3):
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    return copy


def test_a_window_that_cannot_be_decoded_costs_no_other(videos: Path, tmp_path: Path) -> None:
    """Sound ends after 3 s of 5: the first window has it, the others have a reason."""
    path = videos / "deep" / "long.MP4"
    options = AcceptanceRules(min_audio_coverage=1.0, missing_tail="pad").decode_options(TINY_FORMAT)
    with DecoderProcess(options, DecodeLimits().process_limits) as decoder:
        found = list(decoded_windows(decoder, shorter_sound(path, tmp_path), options, root=tmp_path, hop_seconds=1.5))
        whole = list(decoded_windows(decoder, path, options, root=videos, hop_seconds=1.5))
    assert [(each.start_seconds, each.end_seconds, each.num_windows) for each in found] == [
        (0.0, 2.0, 3),
        (1.5, 3.5, 3),
        (3.0, 5.0, 3),
    ]
    assert [each.refusal and each.refusal.reason for each in found] == [None, "audio_coverage", "audio_coverage"]
    assert found[0].clip is not None
    assert [each.refusal for each in whole] == [None] * 3
    assert found[0].video_seconds == pytest.approx(5)


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
