"""One short video for the benchmarks' own tests, and the format of its clips."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.videos import PICTURES, encode_videos
from preprocessing.schema import ClipFormat


@pytest.fixture(scope="session")
def short_videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One of the benchmarks' pictures for two seconds."""
    return encode_videos(tmp_path_factory.mktemp("short") / "videos", pictures=PICTURES[:1], seconds=2.0)


@pytest.fixture
def short_format() -> ClipFormat:
    """Two segments of one second."""
    return ClipFormat(num_segments=2, frame_size=64, num_mels=32)
