from __future__ import annotations

import csv
import hashlib
import logging
from pathlib import Path

import pytest

from preprocessing.datasets.demo.clips import DEMO_CLASSES, Difficulty
from preprocessing.datasets.demo.dataset import MANIFEST_NAME, Demo


def small(root: Path, **settings: object) -> Demo:
    """A demo data set of 10 clips."""
    return Demo.model_validate({"root": root, "num_train": 8, "num_validation": 1, "num_test": 1, **settings})


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> Demo:
    dataset = small(tmp_path_factory.mktemp("demo") / "flat")
    dataset.prepare()
    return dataset


@pytest.fixture(scope="module")
def class_folders(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> Demo:
    dataset = small(tmp_path_factory.mktemp("demo") / "class_folders", layout="class_folders")
    dataset.prepare()
    return dataset


def clip_hashes(dataset: Demo) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in dataset.root.rglob("*.mp4")}


def test_both_layouts_hold_the_same_clips_under_kinetics_names(flat: Demo, class_folders: Demo) -> None:
    assert len(clip_hashes(flat)) == 10
    assert clip_hashes(flat) == clip_hashes(class_folders)
    assert {path.parent.name for path in flat.root.rglob("*.mp4")} == {"train", "val", "test"}
    assert {path.parent.name for path in class_folders.root.rglob("*.mp4")} == set(DEMO_CLASSES)


def test_both_layouts_are_read_as_the_same_videos(flat: Demo, class_folders: Demo) -> None:
    def described(dataset: Demo) -> list[tuple[str, int, str, str]]:
        return [(video.key, video.label, video.class_name, video.split) for video in dataset.videos()]

    assert described(flat) == described(class_folders)
    assert sorted(described(flat)) == sorted(
        (plan.file_name.removesuffix(".mp4"), plan.label, plan.class_name, plan.split) for plan in flat.plans()
    )
    assert all(
        (dataset.root / video.source).is_file() for dataset in (flat, class_folders) for video in dataset.videos()
    )
    assert flat.listing().classes == DEMO_CLASSES
    assert flat.listing().rejected == ()


def test_annotations_have_the_columns_of_kinetics(flat: Demo) -> None:
    with (flat.root / "val.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    plan = next(plan for plan in flat.plans() if plan.split == "validation")
    assert rows == [
        {
            "label": plan.class_name,
            "youtube_id": plan.youtube_id,
            "time_start": str(plan.time_start),
            "time_end": str(plan.time_start + 4),
            "split": "val",
        }
    ]


def test_preparing_again_makes_only_what_is_missing(flat: Demo, caplog: pytest.LogCaptureFixture) -> None:
    before = clip_hashes(flat)
    times = {path: path.stat().st_mtime_ns for path in flat.root.rglob("*.mp4")}
    lost = flat.path_of(next(flat.plans()))
    lost.unlink()
    with caplog.at_level(logging.INFO, logger="preprocessing.datasets.demo.dataset"):
        flat.prepare()
    assert clip_hashes(flat) == before
    assert [path for path in times if path.stat().st_mtime_ns != times[path]] == [lost]
    assert "making 1 of 10 clips" in caplog.text
    assert "1 of 1 made" in caplog.text


def test_preparing_a_finished_set_makes_nothing(flat: Demo, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="preprocessing.datasets.demo.dataset"):
        flat.prepare()
    assert caplog.text == ""


@pytest.mark.parametrize(
    "changed",
    [{"seed": 1}, {"num_train": 9}, {"layout": "class_folders"}, {"difficulty": Difficulty(camera_noise=0.5)}],
    ids=lambda changed: next(iter(changed)),
)
def test_other_settings_over_the_same_root_are_refused(flat: Demo, changed: dict[str, object]) -> None:
    other = small(flat.root, **changed)
    with pytest.raises(ValueError, match=rf"other settings \({next(iter(changed))}.*: .* there, .* now.*another root"):
        other.prepare()


def test_a_root_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds something else"):
        small(tmp_path).prepare()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_another_seed_makes_other_clips(flat: Demo, tmp_path: Path) -> None:
    other = small(tmp_path / "other", seed=1)
    assert not {plan.file_name for plan in other.plans()} & {plan.file_name for plan in flat.plans()}


def test_a_larger_set_contains_the_smaller_one(tmp_path: Path) -> None:
    larger = small(tmp_path, num_train=100)
    assert {plan.file_name for plan in small(tmp_path).plans()} < {plan.file_name for plan in larger.plans()}


def test_nothing_is_left_under_a_temporary_name(flat: Demo) -> None:
    files = {path.name for path in flat.root.rglob("*") if path.is_file() and path.suffix != ".mp4"}
    assert files == {MANIFEST_NAME, "train.csv", "val.csv", "test.csv"}
