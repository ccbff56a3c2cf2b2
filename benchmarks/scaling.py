"""How much faster two workers preprocess than one: whole runs of `preprocess` on Ray, with real shards.

Clips per second of wall-clock time, from the listing of the videos to `dataset.json`. Each worker's import of torch,
once per worker, is done before by a run that does not count. The runs alternate; each figure is a median.
"""

from __future__ import annotations

import io
import os
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from benchmarks.row import Row
from benchmarks.videos import encode_videos, repeated
from pipeline.cluster import connect
from preprocessing.config import PreprocessConfig
from preprocessing.datasets import Folder
from preprocessing.datasets.base import Shares
from preprocessing.run import preprocess
from preprocessing.schema import ClipFormat

ROUNDS = 3
NUM_CLIPS = 256
SHARD_SIZE = 16
"""Sixteen shards: the last one that a worker builds alone costs little."""


def rows() -> list[Row]:
    """Two workers beside one."""
    with tempfile.TemporaryDirectory() as folder, connect("local", num_cpus=2, show_workers=False):
        videos = encode_videos(Path(folder) / "videos")
        return [measure(videos, Path(folder), ClipFormat(), num_clips=NUM_CLIPS, shard_size=SHARD_SIZE, rounds=ROUNDS)]


def measure(
    videos: Sequence[Path], folder: Path, clip_format: ClipFormat, *, num_clips: int, shard_size: int, rounds: int
) -> Row:
    """Clips per second with two workers over one; Ray must be initialised with two CPUs."""
    aim = "1.8 or more"
    if (cores := os.cpu_count() or 1) < 2:
        return Row("preprocess_scaling", f"not measured: two workers need two cores, here is {cores}", aim)
    repeated(videos, folder / "repeated/a", num_clips)
    speeds: dict[int, list[float]] = {1: [], 2: []}
    for number in range(rounds + 1):
        for workers, measured in speeds.items():
            config = PreprocessConfig(
                dataset=Folder(root=folder / "repeated", shares=Shares(validation=0.0, test=0.0)),
                output=str(folder / f"shards-{workers}-{number}"),
                format=clip_format,
                workers=workers,
                shard_size=shard_size,
            )
            with redirect_stdout(io.StringIO()):  # a table for each run
                measured.append(num_clips / preprocess(config).seconds)
    one, two = (statistics.median(measured[1:]) for measured in speeds.values())
    detail: dict[str, object] = {"one_clips_per_second": one, "two_clips_per_second": two, "clips": num_clips}
    return Row("preprocess_scaling", two / one, aim, detail)
