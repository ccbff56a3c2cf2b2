"""Whether preprocessing needs more memory the longer it runs.

A fresh process builds a shard of 100 clips and then one of 1,000, the way a Ray worker builds shard after shard; each
has a decoder process of its own. The peak of resident memory is the kernel's own (`VmHWM` in /proc/PID/status), the
worker's read after each shard, the decoder's every 50 ms while it lives.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.preprocessing import shard_job
from benchmarks.row import Row
from benchmarks.videos import encode_videos
from preprocessing.building import build_shard
from preprocessing.schema import ClipFormat

FEW, MANY = 100, 1000
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Peaks:
    """Peak resident memory in KiB after a shard."""

    worker: int
    decoder: int


def rows() -> list[Row]:
    """The growth of worker and decoder; the larger one counts."""
    with tempfile.TemporaryDirectory() as folder:
        videos = encode_videos(Path(folder) / "videos")
        return [measure(videos, Path(folder) / "shards", ClipFormat(), few=FEW, many=MANY)]


def measure(videos: Sequence[Path], output: Path, clip_format: ClipFormat, *, few: int, many: int) -> Row:
    """Peak memory after many clips over that after few."""
    aim = "1.05 or less"
    if not Path("/proc/self/status").exists():
        return Row("preprocess_memory_growth", "not measured: this system has no /proc", aim)
    with multiprocessing.get_context("spawn").Pool(1) as fresh:
        before, after = fresh.apply(peaks_of_shards, (videos, output, clip_format, (few, many)))
    worker, decoder = after.worker / before.worker, after.decoder / before.decoder
    detail: dict[str, object] = {"worker_growth": worker, "decoder_growth": decoder}
    for num_clips, peaks in ((few, before), (many, after)):
        detail |= {f"worker_mib_{num_clips}": peaks.worker / 1024, f"decoder_mib_{num_clips}": peaks.decoder / 1024}
    return Row("preprocess_memory_growth", max(worker, decoder), aim, detail)


def peaks_of_shards(
    videos: Sequence[Path], output: Path, clip_format: ClipFormat, sizes: Sequence[int]
) -> tuple[Peaks, ...]:
    """Build shards of these sizes one after another in this process, and look at the peaks after each."""
    torch.set_num_threads(1)
    return tuple(
        peaks_of_shard(videos, output / str(number), clip_format, num_clips) for number, num_clips in enumerate(sizes)
    )


def peaks_of_shard(videos: Sequence[Path], output: Path, clip_format: ClipFormat, num_clips: int) -> Peaks:
    """Build one shard while a thread watches the decoder process."""
    finished = threading.Event()
    seen = [0]

    def watch() -> None:
        while not finished.wait(POLL_SECONDS):
            seen.extend(peak_kib(child) for child in children())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        built = build_shard(shard_job(videos, output, clip_format, num_clips=num_clips))
    finally:
        finished.set()
        watcher.join()
    assert len(built.record.samples) == num_clips, built.record.rejected
    return Peaks(worker=peak_kib(os.getpid()), decoder=max(seen))


def children() -> list[int]:
    """Process numbers of this process's children, whichever of its threads started them."""
    lists = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [int(pid) for children in lists for pid in children.read_text().split()]


def peak_kib(pid: int) -> int:
    """The most memory that a process has had resident since it began its program; 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
