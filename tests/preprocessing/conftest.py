"""Real media for the tests of preprocessing, encoded on the spot."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import pytest

from preprocessing.decoding.acceptance import DecodeOptions
from tests.preprocessing.recordings import RECIPES, Ffmpeg, Recording, make_recording


@pytest.fixture(scope="session")
def ffmpeg() -> Ffmpeg:
    """Runs ffmpeg with the given arguments and returns what it writes to its output."""
    program = imageio_ffmpeg.get_ffmpeg_exe()

    def run(*arguments: object) -> bytes:
        command = [program, "-nostdin", "-v", "error", "-y", *map(str, arguments)]
        return subprocess.run(command, check=True, timeout=120, stdout=subprocess.PIPE).stdout

    return run


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the media of this run."""
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="session")
def video(media: Path, ffmpeg: Ffmpeg) -> Path:
    """4 s of moving test picture, 96x64 at 25 frames a second with a keyframe every second, and a 440 Hz tone."""
    path = media / "video.mp4"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=4", "-f", "lavfi", "-i", "sine=f=440:d=4:r=44100"),
        *("-c:v", "libx264", "-preset", "veryfast", "-g", 25, "-pix_fmt", "yuv420p", "-c:a", "aac", path),
    )
    return path


@pytest.fixture(
    scope="session",
    # Ten seconds of work: its table of colours is computed anew in each process.
    params=[pytest.param(name, marks=[pytest.mark.slow] * (name == "hdr.mp4")) for name in RECIPES],
)
def recording(request: pytest.FixtureRequest, media: Path, ffmpeg: Ffmpeg) -> Recording:
    """Each recording of the table in turn."""
    return make_recording(request.param, media, ffmpeg)


@pytest.fixture
def options() -> DecodeOptions:
    """Four segments of one second."""
    return DecodeOptions(
        num_segments=4,
        segment_seconds=1.0,
        sample_rate_hz=16_000,
        frame_size=32,
        jpeg_quality=95,
        missing_tail="reject",
        missing_end_segments=0.25,
        min_video_coverage=0.1,
        min_audio_coverage=0.1,
        max_missing_frames=0,
        max_decode_errors=3,
        max_side_pixels=4096,
        max_frames_per_second=240.0,
        max_still_seconds=10.0,
        max_source_seconds=600.0,
    )


@pytest.fixture
def fine_options(options: DecodeOptions) -> DecodeOptions:
    """3.8 s in segments of 40 ms, whatever is missing of them: the time of everything can be read off."""
    return replace(options, num_segments=95, segment_seconds=0.04, missing_tail="pad")


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory, tiny_videos: Path) -> Path:
    """Two classes of six videos."""
    root = tmp_path_factory.mktemp("videos")
    for name in ("playing piano", "singing"):
        shutil.copytree(tiny_videos / "train" / name, root / name)
    return root


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, videos: Path, ray_session: None) -> Path:
    """`videos` preprocessed by an undisturbed run."""
    from preprocessing.run import preprocess
    from tests.preprocessing.small_run import config

    output = tmp_path_factory.mktemp("finished") / "shards"
    preprocess(config(videos, output))
    return output
