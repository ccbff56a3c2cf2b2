"""Which of several tracks are decoded."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.clip import Tracks, choose_tracks, decode
from preprocessing.decoding.parent import DecoderProcess
from preprocessing.decoding.protocol import ProcessLimits
from tests.preprocessing.recordings import AAC, X264, Ffmpeg

SOURCES = (
    *("-f", "lavfi", "-i", "color=red:s=64x64:r=5:d=4", "-f", "lavfi", "-i", "color=lime:s=64x64:r=5:d=4"),
    *("-f", "lavfi", "-i", "sine=f=440:d=4", "-f", "lavfi", "-i", "sine=f=880:d=4"),
)
"""Two pictures and two sounds."""


def encode(ffmpeg: Ffmpeg, path: Path, tracks: str, *dispositions: object) -> Path:
    """A file with these tracks of `SOURCES`, by their numbers."""
    maps = [word for number in tracks for word in ("-map", number)]
    ffmpeg(*SOURCES, *maps, *X264, *AAC, *dispositions, path)
    return path


def chosen(path: Path) -> Tracks:
    with av.open(str(path)) as container:
        return choose_tracks(container).tracks


def pitch_hz(samples: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples)))) * 16_000 / len(samples)


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_the_default_flag_decides(ending: str, tmp_path: Path, ffmpeg: Ffmpeg, options: DecodeOptions) -> None:
    second = (
        "-disposition:v:0",
        0,
        "-disposition:v:1",
        "default",
        "-disposition:a:0",
        0,
        "-disposition:a:1",
        "default",
    )
    path = encode(ffmpeg, tmp_path / f"second.{ending}", "0123", *second)
    clip = decode(path, options, root=tmp_path, start_seconds=None)
    assert clip.tracks == Tracks(video=1, num_video=2, audio=1, num_audio=2)
    assert clip.frames[0].reshape(-1, 3).mean(axis=0) == pytest.approx([0, 255, 0], abs=20)
    assert pitch_hz(clip.samples) == pytest.approx(880, abs=2)


@pytest.mark.parametrize("flag", ["default", 0])
def test_the_first_of_several_defaults_is_taken_and_the_first_of_none(
    flag: object, tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    path = encode(ffmpeg, tmp_path / "same.mkv", "0123", "-disposition:v", flag, "-disposition:a", flag)
    assert chosen(path) == Tracks(video=0, num_video=2, audio=0, num_audio=2)


def test_cover_art_is_no_track(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    cover = ("-c:v:0", "png", "-frames:v:0", 1, "-disposition:v:0", "attached_pic")
    path = encode(ffmpeg, tmp_path / "cover.mp4", "012", *cover)
    assert not chosen(path).are_several


def test_several_tracks_are_recorded_and_one_of_each_is_not(
    tmp_path: Path, ffmpeg: Ffmpeg, options: DecodeOptions
) -> None:
    two = encode(ffmpeg, tmp_path / "two.mkv", "0123")
    one = encode(ffmpeg, tmp_path / "one.mkv", "02")
    with DecoderProcess(options, ProcessLimits(clip_seconds=60.0, memory_mib=2048)) as decoder:
        clips = [decoder.decode(path, root=tmp_path, start_seconds=None) for path in (two, one)]
    assert clips[0].tracks is not None
    assert clips[0].tracks.model_dump() == {"video": 0, "num_video": 2, "audio": 0, "num_audio": 2}
    assert clips[1].tracks is None


@pytest.mark.parametrize(("tracks", "reason"), [("01", "no_audio"), ("23", "no_video")])
def test_a_file_needs_both_kinds(tracks: str, reason: str, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    path = encode(ffmpeg, tmp_path / "half.mkv", tracks)
    with pytest.raises(DecodeError) as error:
        chosen(path)
    assert error.value.reason == reason
