"""A finished data set against its videos, by another decoder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from preprocessing.checks.config import VerifyConfig
from preprocessing.checks.cross_check import differences
from preprocessing.checks.verify import verify
from preprocessing.decoding.acceptance import DecodeOptions
from preprocessing.decoding.parent import DecoderProcess, ProcessLimits
from preprocessing.plan import PlannedClip
from preprocessing.schema import ClipFormat
from preprocessing.storage.sample_builder import SampleBuilder
from preprocessing.storage.stored_sample import StoredSample
from tests.preprocessing.recordings import X264, Ffmpeg


@pytest.fixture
def copied_videos(tmp_path: Path, tiny_videos: Path) -> Path:
    """The videos of the data set, to be changed."""
    return Path(shutil.copytree(tiny_videos, tmp_path / "videos"))


def test_a_data_set_holds_what_its_videos_show_and_play(tiny_dataset: Path, tiny_videos: Path) -> None:
    assert verify(str(tiny_dataset), VerifyConfig(videos=(tiny_videos,), clips=4)) == []


def test_another_video_under_the_same_name_is_seen(tiny_dataset: Path, copied_videos: Path) -> None:
    """All videos replaced by one of class 1, as their keys say: its colour and its tone are others."""
    (drums, *_) = sorted((copied_videos / "train" / "playing drums").iterdir())
    for video in copied_videos.rglob("*.mp4"):
        if video.parent.name != "playing drums":
            shutil.copyfile(drums, video)
    problems = verify(str(tiny_dataset), VerifyConfig(videos=(copied_videos,), clips=12))
    assert any("a frame differs" in problem for problem in problems)
    assert any("the sound" in problem for problem in problems)
    assert not any("-1-0" in problem for problem in problems)


def test_a_video_that_is_gone_is_named(tiny_dataset: Path, tmp_path: Path) -> None:
    (problem,) = verify(str(tiny_dataset), VerifyConfig(videos=(tmp_path,), clips=1))
    assert problem.startswith(f"'{tiny_dataset}/train/000000.tar' clip 'train-")
    assert "missing_file" in problem


STAMPS = {
    "exact": "PTS",
    "a first packet that the second overlaps by 16 ms, as phones record": "PTS-765*gt(N\\,0)",
    "a first packet that the second overlaps by most of it": "PTS-1000*gt(N\\,0)",
    "a first packet 16 ms before the second": "PTS+765*gt(N\\,0)",
    "every 20 ms": "floor(PTS/960)*960",
    "20 ms early or late": "PTS+960*sin(N*N)",
    "0.3 % slow": "PTS*1.003",
    "0.1 % fast": "PTS*0.999",
    "a jump of 40 ms": "PTS+1920*gt(N\\,90)",
    "a jump of half a second": "PTS+24000*gt(N\\,90)",
}
"""Times of the packets of sound by the times that the encoder gave them, in units of 1/48000 s."""


@pytest.fixture(scope="module")
def noisy(media: Path, ffmpeg: Ffmpeg) -> Path:
    """5 s of a test picture and of noise, whose correlation tells a tenth of a millisecond."""
    path = media / "noisy.mp4"
    noise = "anoisesrc=d=5:c=pink:a=0.5:r=48000:seed=1,lowpass=f=4000"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=5", "-f", "lavfi", "-i", noise, *X264, "-c:a", "aac", path)
    return path


@pytest.mark.parametrize("stamps", STAMPS)
def test_the_clocks_of_phones_are_no_difference(
    stamps: str, noisy: Path, tmp_path: Path, ffmpeg: Ffmpeg, options: DecodeOptions
) -> None:
    path = tmp_path / "phone.mp4"
    ffmpeg("-i", noisy, "-c", "copy", "-bsf:a", f"setts=ts={STAMPS[stamps]}", path)
    clip_format = ClipFormat(num_segments=4, segment_seconds=1.0, frame_size=32, num_mels=32)
    planned = PlannedClip(key="phone", label=0, class_name="singing", source=path.name, start_seconds=None)
    with DecoderProcess(options, ProcessLimits(clip_seconds=60.0, memory_mib=2048)) as decoder:
        clip = decoder.decode(path, root=tmp_path, start_seconds=0.0)
    sample = StoredSample("phone", SampleBuilder(clip_format).build(planned, clip), clip_format)
    assert list(differences(sample, [tmp_path], options)) == []
