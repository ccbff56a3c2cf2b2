"""A finished data set against its videos, by another decoder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from preprocessing.checks.config import VerifyConfig
from preprocessing.checks.verify import verify


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
