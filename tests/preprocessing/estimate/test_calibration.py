from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from preprocessing.config import PreprocessConfig
from preprocessing.datasets import Folder
from preprocessing.decoding.parent import DecoderProcess
from preprocessing.estimate.calibration import Calibration, calibrate, fitting_segments, patches_like, spread
from preprocessing.plan import PlannedClip
from preprocessing.schema import ClipFormat
from preprocessing.storage.sample_builder import SampleBuilder, members_of


def clips(*sources: str) -> list[PlannedClip]:
    return [
        PlannedClip(key=f"k{number}", label=0, class_name="a", source=source, start_seconds=None)
        for number, source in enumerate(sources)
    ]


def test_videos_to_measure_are_spread_over_the_plan() -> None:
    many = clips(*(f"{number}.mp4" for number in range(80)))
    assert [clip.source for clip in spread(many, 8)] == [f"{5 + 10 * number}.mp4" for number in range(8)]
    assert spread(many[:3], 8) == many[:3]
    assert spread([], 8) == []


def test_a_video_is_measured_and_one_that_is_none_costs_no_bytes(tiny_videos: Path, tmp_path: Path) -> None:
    """Two tiny videos and a text file: bytes as in a shard, CPU and time of each, the reason of the third."""
    first, second = sorted((tiny_videos / "train/singing").iterdir())[:2]
    for path in (first, second):
        shutil.copy(path, tmp_path)
    (tmp_path / "text.mp4").write_text("no video")
    config = PreprocessConfig(
        dataset=Folder(root=tmp_path),
        output=str(tmp_path / "out"),
        format=ClipFormat(num_segments=4, segment_seconds=0.5, frame_size=32, num_mels=32),
    )
    found = calibrate(config, clips(first.name, second.name, "text.mp4"))
    assert found.files == (first.name, second.name, "text.mp4")
    assert found.rejected == {"not_media": 1}
    assert found.fitting_segments is None
    assert 20_000 < found.bytes_of_each[0] < 200_000
    assert found.bytes_of_each[2] == 0
    assert found.start_wall_seconds > found.clip_wall_seconds > 0
    assert found.start_cpu_seconds > found.clip_cpu_seconds > 0
    assert not (tmp_path / "out").exists()


def test_a_sample_is_as_large_as_the_stored_one(tiny_videos: Path) -> None:
    """File by file: patches that numpy makes stand in for those of torch."""
    path = next((tiny_videos / "train/singing").iterdir())
    clip_format = ClipFormat(num_segments=4, segment_seconds=0.5, frame_size=32, num_mels=32)
    config = PreprocessConfig(dataset=Folder(root=path.parent), output="out", format=clip_format)
    (planned,) = clips(path.name)
    with DecoderProcess(config.decode_options, config.process_limits) as decoder:
        clip = decoder.decode(path, root=path.parent, start_seconds=None)
    stored = SampleBuilder(clip_format).build(planned, clip)
    measured = members_of(planned, clip, patches_like(clip, clip_format))
    assert {name: len(data) for name, data in measured.items() if name != "json"} == {
        name: len(data) for name, data in stored.items() if name != "json"
    }
    assert list(measured) == list(stored)


def test_of_videos_that_are_too_short_the_segments_that_fit_are_found(tiny_videos: Path) -> None:
    """Videos of 2 s: four segments of half a second, where six are wanted; none of three seconds."""
    root = tiny_videos / "train"
    short = clips(*(path.relative_to(root).as_posix() for path in sorted((root / "singing").iterdir())[:2]))

    def wanted(**changes: float) -> PreprocessConfig:
        clip_format = ClipFormat.model_validate({"frame_size": 32, "num_mels": 32} | changes)
        return PreprocessConfig(dataset=Folder(root=root), output="out", format=clip_format)

    found = calibrate(wanted(num_segments=6, segment_seconds=0.5), short)
    assert (found.rejected, found.fitting_segments) == ({"too_short": 2}, 4)
    assert fitting_segments(wanted(num_segments=2, segment_seconds=3.0), short) is None


def test_the_error_of_the_mean_follows_from_how_much_the_sizes_differ() -> None:
    """Mean 20, standard deviation 10, three videos: 2 * 10 / sqrt(3) = 11.5."""
    found = Calibration(
        files=("a", "b", "c"),
        rejected={},
        clip_cpu_seconds=0,
        clip_wall_seconds=0,
        bytes_of_each=(10, 20, 30),
        start_cpu_seconds=0,
        start_wall_seconds=0,
    )
    assert found.clip_bytes == 20
    assert found.clip_bytes_error == pytest.approx(11.547, abs=0.001)
