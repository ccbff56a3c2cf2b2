"""Two workers are measured beside one on real Ray."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.scaling import measure
from preprocessing.schema import ClipFormat
from preprocessing.storage.records import load_index


@pytest.mark.slow
def test_the_row_compares_finished_runs(
    tmp_path: Path, short_videos: list[Path], short_format: ClipFormat, ray_session: None
) -> None:
    row = measure(short_videos, tmp_path, short_format, num_clips=4, shard_size=2, rounds=1)
    one, two = (float(row.detail[f"{count}_clips_per_second"]) for count in ("one", "two"))  # type: ignore[arg-type]
    assert row.ratio == two / one
    for workers in (1, 2):
        index = load_index(str(tmp_path / f"shards-{workers}-1"))
        assert index.num_clips["train"] == 4
        assert len(index.shards["train"]) == 2
        assert index.config["workers"] == workers


def test_on_one_core_the_row_says_so(tmp_path: Path, short_format: ClipFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    row = measure([], tmp_path, short_format, num_clips=4, shard_size=2, rounds=1)
    assert row.ratio == "not measured: two workers need two cores, here is 1"
    assert not row.is_met
