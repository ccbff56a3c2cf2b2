"""Two decoders, one clip: PyAV in our process against ffmpeg's command line, of another build."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from preprocessing.checks import ffmpeg_reference
from preprocessing.checks.ffmpeg_reference import compare, decode_with_ffmpeg, opened, plain
from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.clip import decode
from tests.preprocessing.recordings import Ffmpeg, Recording, make_recording

PIXEL_DIFFERENCES = {
    "turned.mp4": 1.5,  # ffmpeg turns it before it scales it, we after
    "hdr.mp4": 1.5,  # ffmpeg scales and maps it in one step, we in two
}
"""Levels on average by which a frame may differ; all others are the same."""


@pytest.mark.parametrize(
    "name", ["plain.mp4", "transport_stream.ts", "hidden_start.mp4", "interlaced.mp4", "turned.mp4"]
)
def test_both_decoders_agree(name: str, media: Path, ffmpeg: Ffmpeg, options: DecodeOptions) -> None:
    check_agreement(make_recording(name, media, ffmpeg), options)


@pytest.mark.slow
def test_both_decoders_agree_about_every_recording(recording: Recording, options: DecodeOptions) -> None:
    check_agreement(recording, options)


def check_agreement(recording: Recording, options: DecodeOptions) -> None:
    """The same times and pixels; sound within a sample: half a sample of a 1 kHz tone at 16 kHz leaves a correlation of
    cos(pi / 16) = 0.981."""
    wanted = replace(options, segment_seconds=0.9, missing_tail="pad")
    ours = decode(recording.path, wanted, root=recording.path.parent, start_seconds=0.08)
    theirs = decode_with_ffmpeg(recording.path, wanted, root=recording.path.parent, start_seconds=0.08)
    agreement = compare(plain(ours), theirs)
    assert agreement.frame_seconds <= 1e-6
    assert agreement.pixels <= PIXEL_DIFFERENCES.get(recording.path.name, 0.01)
    assert abs(agreement.sound_lag_samples) <= 1
    assert agreement.sound_correlation > 0.98


def test_a_disagreement_is_seen(video: Path, options: DecodeOptions) -> None:
    """The same video a second and ten samples later."""
    first = decode(video, replace(options, num_segments=2), root=video.parent, start_seconds=0.0)
    later = decode_with_ffmpeg(video, replace(options, num_segments=2), root=video.parent, start_seconds=1.0)
    shifted = replace(later, samples=np.roll(first.samples / np.float32(32768), -10))
    agreement = compare(plain(first), shifted)
    assert agreement.frame_seconds == pytest.approx(1.0)
    assert agreement.pixels > 3
    assert agreement.sound_lag_samples == 10


def test_its_arguments_force_the_demuxer_and_open_nothing_but_files(tmp_path: Path) -> None:
    arguments = opened(tmp_path / "-y.mp4", "mov")["v:0"].output("pipe:", format="null").compile()
    before_input = arguments[: arguments.index("-i")]
    assert before_input[before_input.index("-f") + 1] == "mov"
    assert before_input[before_input.index("-protocol_whitelist") + 1] == "file,pipe"
    assert arguments[arguments.index("-i") + 1] == f"file:{tmp_path / '-y.mp4'}"


def test_damage_fails_it(tmp_path: Path, video: Path, options: DecodeOptions) -> None:
    data = bytearray(video.read_bytes())
    middle = data.find(b"mdat") + 5_000
    data[middle : middle + 2_000] = bytes(2_000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    with pytest.raises(DecodeError) as error:
        decode_with_ffmpeg(path, options, root=tmp_path, start_seconds=None)
    assert error.value.reason == "decode_errors"


def test_it_is_ended_when_it_takes_too_long(
    video: Path, options: DecodeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg_reference, "SECONDS_LIMIT", 0.001)
    with pytest.raises(DecodeError) as error:
        decode_with_ffmpeg(video, options, root=video.parent, start_seconds=None)
    assert error.value.reason == "timeout"
