"""Data sets of YouTube videos from real files to shards: several roots, split files, several clips per video."""

from __future__ import annotations

import csv
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from preprocessing.config import PreprocessConfig
from preprocessing.run import Summary, preprocess, verify
from preprocessing.schema import ClipRecord
from preprocessing.storage.records import load_index

pytestmark = pytest.mark.usefixtures("ray_session")
FORMAT = {"num_segments": 2, "segment_seconds": 0.5, "frame_size": 32, "num_mels": 32}


def build(output: Path, **dataset: Any) -> Summary:
    settings = {"dataset": dataset, "output": str(output), "format": FORMAT, "workers": 1}
    return preprocess(PreprocessConfig.model_validate(settings))


def records(output: Path) -> list[ClipRecord]:
    """What is stored of each clip, by key."""
    found: list[ClipRecord] = []
    for path in output.glob("*/*.tar"):
        with tarfile.open(path) as archive:
            for name in archive.getnames():
                if name.endswith(".json"):
                    stream = archive.extractfile(name)
                    assert stream is not None
                    found.append(ClipRecord.model_validate_json(stream.read()))
    return sorted(found, key=lambda record: record.key)


def contents(output: Path) -> dict[str, bytes]:
    """All files but `dataset.json`, which names the places, by their path."""
    files = (path for path in output.rglob("*") if path.is_file() and path.name != "dataset.json")
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in files}


def rejected(output: Path) -> set[tuple[str, str]]:
    with (output / "rejected.csv").open(newline="") as stream:
        return {(row["file"], row["reason"]) for row in csv.DictReader(stream)}


def test_videos_that_move_between_disks_change_nothing(tmp_path: Path, tiny_videos: Path) -> None:
    """Built from two roots, one of which holds a copy; built again after both moved and shared the files otherwise."""
    stems = [f"train-0-00{index}_000000_000002.mp4" for index in range(4)]
    source = tiny_videos / "train/playing accordion"
    one, two = (tmp_path / name / "train/playing_accordion" for name in ("one", "two"))
    one.mkdir(parents=True)
    two.mkdir(parents=True)
    for index, stem in enumerate(stems):
        shutil.copy(source / stem, (one if index < 2 else two) / stem)
    copy = two.parent / f"copy/{stems[0]}"
    copy.parent.mkdir()
    shutil.copy(source / stems[0], copy)
    settings = {"name": "kinetics_sounds", "validation_share": 0}
    output = tmp_path / "shards"

    summary = build(output, root=[str(tmp_path / "one"), str(tmp_path / "two")], **settings)
    assert (summary.num_clips["train"], summary.num_rejected) == (4, {"duplicate": 1})
    assert rejected(output) == {(f"train/copy/{stems[0]}", "duplicate")}
    assert [record.source for record in records(output)] == [f"train/playing_accordion/{stem}" for stem in stems]
    assert {record.label for record in records(output)} == {7}
    assert len(load_index(str(output)).classes) == 31
    assert str(tmp_path) not in (output / "plan.json").read_text()

    before = contents(output)
    moved = (tmp_path / "one").rename(tmp_path / "moved")
    (two / stems[3]).rename(moved / "train/playing_accordion" / stems[3])
    for path in output.glob("train/*"):
        path.unlink()
    again = build(output, root=[str(moved), str(tmp_path / "two")], **settings)
    assert (again.shards_written, again.shards_reused) == (1, 0)
    assert contents(output) == before
    assert verify(str(output)) == []


def test_split_files_decide_what_is_built(tmp_path: Path, tiny_videos: Path) -> None:
    (tmp_path / "my_train.txt").write_text("train-0-000_000000_000002 7\ntrain-1-001 11\ngone-------_000000_000002 7\n")
    (tmp_path / "my_test.txt").write_text("train-2-002 16\n")
    lists = [str(tmp_path / "my_train.txt"), str(tmp_path / "my_test.txt")]
    output = tmp_path / "shards"
    summary = build(output, name="kinetics_sounds", root=str(tiny_videos), split_files=lists, validation_share=0)
    assert summary.num_clips == {"train": 2, "validation": 0, "test": 1}
    assert summary.num_rejected == {"missing_file": 1}
    assert rejected(output) == {("train/gone-------_000000_000002.mp4", "missing_file")}
    assert [(record.label, record.class_name) for record in records(output)] == [
        (7, "playing accordion"),
        (11, "playing drums"),
        (16, "playing piano"),
    ]


def test_several_clips_of_a_video_are_cut_where_they_are_wanted(tmp_path: Path, video: Path) -> None:
    """From 4 s of video, clips of 1 s at 0, 1.5 and 3 s; the one at 4.5 s passes its end."""
    (tmp_path / "videos/flute").mkdir(parents=True)
    shutil.copy(video, tmp_path / "videos/flute/-3wPouBFa9U.mp4")
    settings = {"root": str(tmp_path / "videos"), "clips_per_video": 4, "clip_spacing_seconds": 1.5}
    whole = {"shares": {"validation": 0, "test": 0}, "validation_share": 0}
    summary = build(tmp_path / "shards", name="music", **settings, **whole)
    found = records(tmp_path / "shards")
    assert [(record.key, record.start_seconds) for record in found] == [
        ("-3wPouBFa9U_00000000ms", 0.0),
        ("-3wPouBFa9U_00001500ms", 1.5),
        ("-3wPouBFa9U_00003000ms", 3.0),
    ]
    assert {record.source for record in found} == {"flute/-3wPouBFa9U.mp4"}
    assert len({record.frame_seconds for record in found}) == 3
    assert summary.num_rejected == {"too_short": 1}
