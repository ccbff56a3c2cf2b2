"""`format.num_segments=auto`: the number that nearly all videos allow, told, recorded and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from preprocessing.config import PreprocessConfig
from preprocessing.datasets import Video
from preprocessing.decoding.opened_video import Length
from preprocessing.estimate.estimate import estimate
from preprocessing.estimate.segment_count import ClassSample, fits, loses_few, samples_of, settled
from preprocessing.run import preprocess
from preprocessing.storage.records import load_index
from preprocessing.storage.store import Store
from tests.tiny_video import write_tiny_video

SMALL = {"num_segments": "auto", "segment_seconds": 0.5, "frame_size": 32, "num_mels": 32}


def config(root: Path, output: Path, **changes: Any) -> PreprocessConfig:
    settings = {"dataset": {"name": "folder", "root": root}, "output": str(output), "format": SMALL, "shard_size": 8}
    return PreprocessConfig.model_validate(settings | changes)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of ten videos of 2 s, but one of 1 s; and a file that is no video."""
    root = tmp_path_factory.mktemp("videos")
    for label, name in enumerate(("drums", "piano")):
        (root / name).mkdir()
        for number in range(10):
            seconds = 1.0 if (label, number) == (1, 7) else 2.0
            write_tiny_video(root / name / f"{label}{number}.mp4", label=label, seed=number, seconds=seconds)
    (root / "piano/page.mp4").write_text("<html>")
    return root


def video(key: str, class_name: str = "a", start: float | None = None, end: float | None = None) -> Video:
    return Video(
        key=key,
        source=Path(f"{key}.mp4"),
        label=0,
        class_name=class_name,
        split="train",
        start_seconds=start,
        end_seconds=end,
    )


def of_lengths(*classes: list[int]) -> dict[str, ClassSample]:
    """Videos by the most segments they allow, a list of each class."""
    return {
        str(number): ClassSample(len(each), {str(place): most for place, most in enumerate(each)})
        for number, each in enumerate(classes)
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (of_lengths([4] * 20), True),
        (of_lengths([3] + [4] * 19), True),  # one of twenty
        (of_lengths([3] + [4] * 18), False),  # one of nineteen
        (of_lengths([3, 3] + [4] * 38), True),
        (of_lengths([3, 3, 4], [4] * 97), False),  # two of a class of three
        (of_lengths([3, 4, 4], [4] * 97), True),
        (of_lengths([3], [4] * 99), False),  # a class would be gone
        (of_lengths([3] * 3 + [4] * 7, [4] * 90), False),  # more than a fifth of a class
        (of_lengths([3] * 2 + [4] * 8, [4] * 90), True),
        ({}, True),
        (of_lengths([4], []), True),  # none of a class could be measured
    ],
)
def test_few_are_one_of_twenty_and_no_large_part_of_a_class(found: dict[str, ClassSample], expected: bool) -> None:
    assert loses_few(found, 4) == expected


@pytest.mark.parametrize(
    ("start", "end", "video_seconds", "sound_seconds", "expected"),
    [
        (None, None, 4.0, 4.0, True),
        (None, None, 3.8, 3.8, True),  # a quarter of a segment may be missing
        (None, None, 3.7, 4.0, False),
        (None, None, 4.0, 3.7, False),  # the sound ends early
        (None, None, 6.0, 5.0, True),  # the middle, from 1 to 5 s
        (2.0, None, 6.0, 6.0, True),
        (3.0, None, 6.0, 6.0, False),
        (1.0, 5.0, 9.0, 9.0, True),
        (1.0, 4.9, 9.0, 9.0, False),  # of a part nothing may be missing
        (1.0, 9.0, 5.0, 5.0, False),  # the middle of the part, from 3 to 7 s, is not there
    ],
)
def test_a_clip_fits_where_a_run_lays_it(
    start: float | None, end: float | None, video_seconds: float, sound_seconds: float, expected: bool
) -> None:
    """Of 4 s, in segments of 1 s."""
    length = Length(video_seconds=video_seconds, sound_seconds=sound_seconds)
    assert fits(video("a", start=start, end=end), length, 4.0, 0.25) == expected


def test_all_videos_are_lost_as_the_samples_tell() -> None:
    """Half the sample of a class of ten, of a thousand in all: five are 0.5 %."""
    small, large = ClassSample(10, {"a": 3, "b": 4}), ClassSample(990, {str(number): 4 for number in range(8)})
    assert loses_few({"small": small, "large": large}, 4)
    assert not loses_few({"small": replace(small, size=1000), "large": large}, 4)


def test_the_sample_is_of_every_class_and_larger_where_one_is_in_doubt() -> None:
    """400 videos over the classes, 20 of each of three; of 300 classes two, but 20 of the one whose two are short."""
    probed: list[int] = []

    def probe(videos: Sequence[Video]) -> dict[str, int]:
        probed.append(len(videos))
        return {each.key: 3 if each.key in ("v7", "v307") else 4 for each in videos}

    few = {str(name): [video(f"v{300 * number + name}", str(name)) for number in range(30)] for name in range(3)}
    assert {len(each.probed) for each in samples_of(few, probe).values()} == {20}
    assert probed == [60, 0]
    many = {str(name): [video(f"v{300 * number + name}", str(name)) for number in range(30)] for name in range(300)}
    samples = samples_of(many, probe)
    assert probed[2:] == [600, 18]
    assert len(samples["7"].probed) == 20
    assert loses_few(samples, 4)


def test_a_plain_number_is_left_alone(tmp_path: Path) -> None:
    wanted = config(tmp_path, tmp_path / "out", format={**SMALL, "num_segments": 3})
    assert settled(wanted, (), Store(str(tmp_path))) == (wanted, None)


def test_the_plan_tells_the_number_and_what_it_costs(videos: Path, tmp_path: Path) -> None:
    """One of twenty videos is of 1 s: four segments of half a second fit the others, and no fifth fits any."""
    found = estimate(config(videos, tmp_path / "out")).segments
    assert found is not None
    assert str(found) == (
        "4 of 0.5 s (format.num_segments=auto): of 20 videos probed 1 (1 of 'piano'; such as 'piano/17.mp4') would be "
        "too short, 20 with one segment more"
    )


def test_videos_shorter_than_a_segment_leave_one(videos: Path, tmp_path: Path) -> None:
    found = estimate(config(videos, tmp_path / "out", format={**SMALL, "segment_seconds": 3.0})).segments
    assert found is not None
    assert (found.num_segments, found.num_lost) == (1, 20)


def test_a_list_with_times_is_measured_by_its_parts(videos: Path, tmp_path: Path) -> None:
    """From 0.5 to 1.6 s there are two segments of half a second."""
    rows = [f"drums/0{number}.mp4,drums,{split},0.5,1.6" for number, split in enumerate(("train", "test") * 3)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split,start,end", *rows]))
    dataset = {"name": "list", "root": videos, "lists": [tmp_path / "list.csv"]}
    found = estimate(config(videos, tmp_path / "out", dataset=dataset))
    assert found.segments is not None
    assert (found.segments.num_segments, found.segments.lost) == (2, {})
    assert found.calibration.rejected == {}


def test_a_run_records_the_number_and_a_later_one_keeps_it(videos: Path, tmp_path: Path, ray_session: None) -> None:
    """The number stands in `dataset.json` as if it had been given: what is stored is the same."""
    automatic, given = config(videos, tmp_path / "a"), config(videos, tmp_path / "b").with_segments(4)
    assert preprocess(automatic).num_rejected == preprocess(given).num_rejected == {"not_media": 1, "too_short": 1}
    index, other = (load_index(str(tmp_path / name)) for name in "ab")
    assert index.format.num_segments == 4
    assert (index.plan_sha256, index.content_sha256) == (other.plan_sha256, other.content_sha256)
    stored = index.config["format"]
    assert isinstance(stored, dict)
    assert stored["num_segments"] == 4
    assert preprocess(automatic).shards_written == 0
    shorter = given.with_segments(2).model_copy(update={"output": str(tmp_path / "c")})
    preprocess(shorter)
    kept, count = settled(config(videos, tmp_path / "c"), automatic.dataset.listing().videos, Store(shorter.output))
    assert kept == shorter
    assert str(count) == "2 of 0.5 s (format.num_segments=auto), as an earlier run to this output has chosen"


def test_an_output_that_makes_way_decides_nothing(tmp_path: Path, ray_session: None) -> None:
    """A run that ended without a clip chose by videos that were none."""
    for name in ("a", "b", "c"):
        (tmp_path / "videos" / name).mkdir(parents=True)
        (tmp_path / f"videos/{name}/{name}.mp4").write_text(name)
    broken = config(tmp_path / "videos", tmp_path / "out", max_rejected_share=1.0)
    preprocess(broken)
    assert load_index(broken.output).format.num_segments == 10
    for number, name in enumerate(("a", "b", "c")):
        write_tiny_video(tmp_path / f"videos/{name}/{name}.mp4", label=number, seed=0)
    found, _ = settled(broken, broken.dataset.listing().videos, Store(broken.output))
    assert found.format.num_segments == 4
