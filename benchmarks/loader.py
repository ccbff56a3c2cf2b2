"""What the loader costs per clip, against reading the same tars in order and decoding the same JPEGs.

CPU seconds in one process, file cache warm. The loader's clips arrive in the shuffled order of an epoch, stacked into
batches as they are handed to the device (8-bit frames, half-precision log-mel patches). The lower bound stacks nothing,
shuffles nothing and does not look at the log-mel patches.
"""

from __future__ import annotations

import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import simplejpeg
import torch

from benchmarks.clips import write_clips
from benchmarks.row import Row
from preprocessing.schema import ClipFormat
from training.data import StoredSplit, open_split, stored_batches, training_plan

ROUNDS = 5
NUM_CLIPS = 128
BATCH_SIZE = 16
FORMATS = {"": ClipFormat(), "_small": ClipFormat(num_segments=8, segment_seconds=0.5, frame_size=32, num_mels=64)}
"""As Kinetics-Sounds is stored by default; and as in the demo, where little is left of the work but overhead."""


def rows() -> list[Row]:
    """One row for each format."""
    torch.set_num_threads(1)
    return [measure(clip_format, suffix) for suffix, clip_format in FORMATS.items()]


def measure(clip_format: ClipFormat, suffix: str) -> Row:
    """The loader beside the lower bound."""
    with tempfile.TemporaryDirectory() as folder:
        write_clips(Path(folder), clip_format, num_train=NUM_CLIPS)
        plain = open_split(folder, "train")
        cached = open_split(folder, "train", cache_bytes=2**30)
        ways: dict[str, Callable[[], object]] = {
            "loader": lambda: load(plain),
            "tar_and_jpeg": lambda: read_and_decode(Path(folder)),
            "loader_and_floats": lambda: load(plain, as_floats=True),
            "cached_loader": lambda: load(cached),
        }
        seconds = measured(ways)
    detail: dict[str, object] = {f"{way}_cpu_ms_per_clip": 1000 * value for way, value in seconds.items()}
    detail |= {"frame_size": clip_format.frame_size, "segments": clip_format.num_segments}
    return Row("loader_vs_tar_and_jpeg" + suffix, seconds["tar_and_jpeg"] / seconds["loader"], "0.85 or more", detail)


def measured(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median CPU seconds per clip of each way, run in turns; the first round only warms up."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS + 1):
        for way, run in ways.items():
            before = time.process_time()
            run()
            seconds[way].append((time.process_time() - before) / NUM_CLIPS)
    return {way: statistics.median(values[1:]) for way, values in seconds.items()}


def load(stored: StoredSplit, *, as_floats: bool = False) -> None:
    """One epoch."""
    plan = training_plan(NUM_CLIPS, batch_size=BATCH_SIZE, seed=0, epoch=0)
    for batch in stored_batches(stored, plan):
        if as_floats:
            batch.to("cpu")


def read_and_decode(root: Path) -> None:
    """The lower bound: everything in the order in which it is stored."""
    for path in sorted(root.glob("train/*.tar")):
        with tarfile.open(path) as shard:
            for member in shard:
                file = shard.extractfile(member)
                assert file is not None
                data = file.read()
                if member.name.endswith(".jpg"):
                    simplejpeg.decode_jpeg(data)
