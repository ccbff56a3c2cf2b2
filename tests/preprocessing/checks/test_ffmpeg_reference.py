"""Two decoders, one clip: PyAV in our process against ffmpeg's command line, of another build."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from preprocessing.checks import ffmpeg_reference
from preprocessing.checks.ffmpeg_reference import Source, compare, decode_with_ffmpeg, opened, place_blocks, plain
from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.clip import decode
from preprocessing.decoding.segments import Grid
from tests.preprocessing.recordings import AAC, X264, Ffmpeg, Recording, make_recording

PIXEL_DIFFERENCES = {
    # ffmpeg turns and mirrors it before it scales it, as if colour samples lay where they did before; we after
    "turned.mp4": 1.5,
    "mirrored.mp4": 2.0,
    "turned_and_mirrored.mp4": 1.5,
    "hdr.mp4": 1.5,  # ffmpeg scales and maps it in one step, we in two
}
"""Levels on average by which a frame may differ; all others are the same."""


@pytest.mark.parametrize(
    "name",
    [
        "plain.mp4",
        "transport_stream.ts",
        "hidden_start.mp4",
        "interlaced.mp4",
        "turned.mp4",
        "turned_and_mirrored.mp4",
        "android_stamps.mp4",
        "slow_sound.mp4",
        "sound_starts_4_ms_late.mov",
        "sound_gap.mp4",
    ],
)
def test_both_decoders_agree(name: str, media: Path, ffmpeg: Ffmpeg, options: DecodeOptions) -> None:
    check_agreement(make_recording(name, media, ffmpeg), options)


@pytest.mark.slow
def test_both_decoders_agree_about_every_recording(recording: Recording, options: DecodeOptions) -> None:
    check_agreement(recording, options)


def check_agreement(recording: Recording, options: DecodeOptions) -> None:
    """The same times and pixels; sound within a sample: half a sample of a 1 kHz tone at 16 kHz leaves a correlation of
    cos(pi / 16) = 0.981. Stamps that jitter by 20 ms are averaged to within a millisecond."""
    wanted = replace(options, segment_seconds=0.9, missing_tail="pad")
    ours = decode(recording.path, wanted, root=recording.path.parent, start_seconds=0.08)
    theirs = decode_with_ffmpeg(recording.path, wanted, root=recording.path.parent, start_seconds=0.08)
    agreement = compare(plain(ours), theirs)
    assert agreement.frame_seconds <= 1e-6
    assert agreement.pixels <= PIXEL_DIFFERENCES.get(recording.path.name, 0.01)
    assert abs(agreement.sound_lag_samples) <= (16 if recording.path.name == "android_stamps.mp4" else 1)
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


def test_both_decoders_take_the_tracks_flagged_as_default(
    tmp_path: Path, ffmpeg: Ffmpeg, options: DecodeOptions
) -> None:
    path = tmp_path / "second.mkv"
    sources = ("testsrc2=s=96x64:r=25:d=4", "smptebars=s=96x64:r=25:d=4", "sine=f=440:d=4", "sine=f=880:d=4")
    ffmpeg(*(word for source in sources for word in ("-f", "lavfi", "-i", source)), *("-map", 0, "-map", 1, "-map", 2),
           *("-map", 3, *X264, *AAC, "-disposition:v:0", 0, "-disposition:v:1", "default"),
           *("-disposition:a:0", 0, "-disposition:a:1", "default"), path)  # fmt: skip
    ours = decode(path, options, root=tmp_path, start_seconds=0.0)
    agreement = compare(plain(ours), decode_with_ffmpeg(path, options, root=tmp_path, start_seconds=0.0))
    assert agreement.pixels <= 0.01
    assert agreement.sound_correlation > 0.98


def test_it_places_each_block_of_sound_by_the_mean_of_the_stamps_around_it() -> None:
    """100 blocks of 300 samples whose stamps scatter by 200, with a gap of a second after 50: samples are their own
    numbers, and none is more than 100 samples off."""
    grid = Grid(num_segments=1, segment_seconds=3.0, sample_rate_hz=16_000, start_seconds=0.0)
    stamps = np.arange(100) * 300.0 + 16_000 * (np.arange(100) >= 50)
    jitter = np.random.default_rng(0).uniform(-200, 200, 100)
    waveform = place_blocks(np.arange(30_000, dtype=np.float32), stamps + jitter, np.full(100, 300), grid)
    heard = np.flatnonzero(waveform)
    expected = heard - 16_000 * (heard >= 20_000)
    assert not waveform[15_100:30_900].any()
    assert np.abs(waveform[heard] - expected).max() < 100
    assert not place_blocks(np.zeros(0, np.float32), np.zeros(0), np.zeros(0, np.int64), grid).any()


def test_its_arguments_force_the_demuxer_and_open_nothing_but_files(tmp_path: Path) -> None:
    source = Source(tmp_path / "-y.mp4", "mov", video=0, audio=1)
    arguments = opened(source)["0"].output("pipe:", format="null").compile()
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
