"""A small checkpoint, and videos that it can classify."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.small_checkpoint import write_checkpoint
from tests.tiny_video import write_tiny_video


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained classifier of clips of 2 s."""
    folder = tmp_path_factory.mktemp("prediction") / "checkpoint"
    write_checkpoint(folder, scale=20.0)
    return folder


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of 2, 5 and 1 s, one without sound, one that is none, and a text."""
    root = tmp_path_factory.mktemp("prediction_videos")
    (root / "deep").mkdir()
    write_tiny_video(root / "a.mp4", label=0, seed=0)
    write_tiny_video(root / "deep" / "long.MP4", label=1, seed=1, seconds=5.0)
    write_tiny_video(root / "short.mkv", label=2, seed=2, seconds=1.0)
    write_tiny_video(root / "silent.mov", label=2, seed=3, has_sound=False)
    (root / "broken.webm").write_bytes(b"no video")
    (root / "notes.txt").write_text("not for us")
    (root / ".hidden.mp4").write_bytes(b"")
    return root
