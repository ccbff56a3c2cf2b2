"""The cost of a clip is measured beside that of three rivals that make the same sample."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

from benchmarks.preprocessing import (
    Workload,
    charged,
    decode_only,
    measure,
    measured,
    preprocess,
    torchcodec_row,
    with_processes,
)
from benchmarks.videos import ffmpegs
from benchmarks.with_torchcodec import NotAvailableError, TorchcodecProcess
from preprocessing.schema import ClipFormat


def members(shard: Path) -> dict[str, bytes]:
    """The files of a shard's first clip by their name without the key."""
    with tarfile.open(shard) as archive:
        clip = [member for member in archive if member.name.startswith(archive.getnames()[0].partition(".")[0] + ".")]
        return {
            member.name.partition(".")[2]: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in clip
        }


def pictures(files: dict[str, bytes]) -> NDArray[np.int64]:
    return np.stack([simplejpeg.decode_jpeg(data) for name, data in files.items() if name.endswith("jpg")]).astype(int)


def logmel(files: dict[str, bytes]) -> NDArray[np.float64]:
    return np.asarray(np.load(io.BytesIO(files["logmel.npy"])), np.float64)


def test_every_way_makes_the_same_sample_and_every_row_has_its_figures(
    tmp_path: Path, short_videos: list[Path], short_format: ClipFormat
) -> None:
    """The same frames scaled by other filters: far nearer to ours than to the next segment's. The same sound: louder by
    one amount everywhere, because ffmpeg adds channels to more than their mean.
    """
    work = Workload(tuple(short_videos), tmp_path, short_format, shard_size=2, rounds=1)
    rows = {row.name: row for row in measure(work)}
    assert list(rows) == ["preprocess_vs_decode", "preprocess_vs_ffmpeg_cli", "preprocess_vs_torchcodec"]
    assert all(isinstance(row.ratio, float) and row.ratio > 0 for row in rows.values())
    usual = next(iter(ffmpegs()))
    detail = rows["preprocess_vs_decode"].detail
    assert detail[f"ratio_to_decode_{usual}"] == rows["preprocess_vs_decode"].ratio
    assert str(detail[f"ffmpeg_{usual}"]).startswith("ffmpeg version")
    assert rows["preprocess_vs_ffmpeg_cli"].ratio == pytest.approx(
        detail["preprocess_cpu_ms_per_clip"] / detail[f"ffmpeg_cli_{usual}_cpu_ms_per_clip"]  # type: ignore[operator]
    )
    ours = members(tmp_path / "shards/train/000000.tar")
    for name in ("torchcodec/shards", "cli"):
        theirs = members(tmp_path / name / "train/000000.tar")
        assert list(theirs) == list(ours)
        louder = logmel(theirs) - logmel(ours)
        assert np.abs(louder - np.median(louder)).mean() < 0.01
        frames = pictures(ours)
        assert np.abs(frames - pictures(theirs)).mean() < 0.5 * np.abs(frames[0] - frames[1]).mean()


def test_torchcodec_that_cannot_load_says_why(
    tmp_path: Path, short_format: ClipFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package of that name that cannot be imported stands before the real one on the search path."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/torchcodec.py").write_text("raise OSError('libavutil.so.60: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    with pytest.raises(NotAvailableError, match=r"^libavutil\.so\.60: cannot open shared object file$"):
        TorchcodecProcess(tmp_path, short_format).__enter__()


def test_without_torchcodec_its_row_has_words_and_is_not_met() -> None:
    row = torchcodec_row({"preprocess": 0.1, "decode_bundled": 0.2}, "not measured, torchcodec cannot be loaded: why")
    assert row.ratio == "not measured, torchcodec cannot be loaded: why"
    assert not row.is_met
    assert torchcodec_row({"preprocess": 0.1, "torchcodec": 0.125}, "torchcodec 0.17.0, FFmpeg 8").ratio == 0.8


def test_the_figure_of_a_way_is_its_median_without_the_first_round() -> None:
    times = iter([100.0, 3.0, 1.0, 2.0])
    assert measured({"way": lambda: next(times)}, 3) == {"way": 2.0}


def test_children_are_charged(tmp_path: Path, short_videos: list[Path], short_format: ClipFormat) -> None:
    """A program that only decodes costs this process next to nothing, and its own CPU seconds all the same."""
    work = Workload(tuple(short_videos), tmp_path, short_format)
    assert charged(lambda: decode_only(work, ffmpegs()["bundled"]))() > 0.005


def test_the_ways_say_how_many_clips_they_did(
    tmp_path: Path, short_videos: list[Path], short_format: ClipFormat
) -> None:
    work = Workload(tuple(short_videos), tmp_path, short_format, shard_size=3)
    assert preprocess(work) == 3
    assert with_processes(work, ffmpegs()["bundled"]) == 1
