"""What preprocessing a clip costs, against only decoding it, against ffprobe + ffmpeg processes and against torchcodec.

CPU seconds per clip of this process and its children, in warm processes: what a Ray task pays, the start of its decoder
process included, Ray's own start and the import of torch (once per worker) not. The shard is of the default size.
All ways run in turns; each figure is a median.
"""

from __future__ import annotations

import hashlib
import resource
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.row import Row
from benchmarks.storing import DecodedVideo, write_shard
from benchmarks.videos import QUIET, encode_videos, ffmpegs, run, version_of
from benchmarks.with_torchcodec import NotAvailableError, TorchcodecProcess
from preprocessing.building import ShardJob, build_shard
from preprocessing.config import PreprocessConfig
from preprocessing.datasets import Folder
from preprocessing.plan import PlannedClip, PlannedShard
from preprocessing.schema import ClipFormat
from preprocessing.storage.sample_builder import SampleBuilder

Way = Callable[[], float]
"""Does its work and gives CPU seconds per clip."""


@dataclass(frozen=True)
class Workload:
    """What is measured."""

    videos: tuple[Path, ...]
    folder: Path
    """For what the ways write."""
    clip_format: ClipFormat
    shard_size: int = 128
    """Clips per shard of ours: as preprocessing has it by default."""
    rounds: int = 5


def rows() -> list[Row]:
    """The three rows about the cost of a clip."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        return measure(Workload(tuple(encode_videos(Path(folder) / "videos")), Path(folder), ClipFormat()))


def measure(work: Workload) -> list[Row]:
    """Preprocessing beside its rivals; against the system's ffmpeg if there is one, else against the bundled one."""
    programs = ffmpegs()
    ways: dict[str, Way] = {"preprocess": charged(partial(preprocess, work))}
    for name, ffmpeg in programs.items():
        ways[f"decode_{name}"] = charged(partial(decode_only, work, ffmpeg))
        ways[f"ffmpeg_cli_{name}"] = charged(partial(with_processes, work, ffmpeg))
    with ExitStack() as stack:
        try:
            rival = stack.enter_context(TorchcodecProcess(work.folder / "torchcodec", work.clip_format))
        except NotAvailableError as error:
            versions = f"not measured, torchcodec cannot be loaded: {error}"
        else:
            ways["torchcodec"] = lambda: rival.cpu_seconds_per_clip(work.videos)
            versions = rival.versions
        seconds = measured(ways, work.rounds)
    detail: dict[str, object] = {f"{way}_cpu_ms_per_clip": 1000 * value for way, value in seconds.items()}
    detail |= {f"ffmpeg_{name}": version_of(ffmpeg) for name, ffmpeg in programs.items()}
    ratios = {way: seconds["preprocess"] / value for way, value in seconds.items()}
    usual = next(iter(programs))
    return [
        Row("preprocess_vs_decode", ratios[f"decode_{usual}"], "0.60 or less", with_both(detail, ratios, "decode")),
        Row(
            "preprocess_vs_ffmpeg_cli",
            ratios[f"ffmpeg_cli_{usual}"],
            "0.34 or less",
            with_both(detail, ratios, "ffmpeg_cli") | {"probe": Path(probe_command(programs[usual], Path())[0]).name},
        ),
        torchcodec_row(seconds, versions),
    ]


def torchcodec_row(seconds: dict[str, float], versions: str) -> Row:
    """The row about torchcodec; where it was not measured `versions` says why."""
    ways = [way for way in ("preprocess", "torchcodec") if way in seconds]
    detail: dict[str, object] = {f"{way}_cpu_ms_per_clip": 1000 * seconds[way] for way in ways}
    ratio = seconds["preprocess"] / seconds["torchcodec"] if "torchcodec" in seconds else versions
    return Row("preprocess_vs_torchcodec", ratio, "1.00 or less", detail | {"versions": versions})


def with_both(detail: dict[str, object], ratios: dict[str, float], rival: str) -> dict[str, object]:
    """The figures with the ratio to each ffmpeg: the row shows the first, and which one decides much."""
    return {f"ratio_to_{way}": ratio for way, ratio in ratios.items() if way.startswith(rival)} | detail


def measured(ways: dict[str, Way], rounds: int) -> dict[str, float]:
    """Median CPU seconds per clip of each way, run in turns; the first round only warms up."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, run_once in ways.items():
            seconds[way].append(run_once())
    return {way: statistics.median(values[1:]) for way, values in seconds.items()}


def charged(work: Callable[[], int]) -> Way:
    """CPU seconds per clip of this process and its children that end meanwhile; `work` says how many clips it did."""

    def run_once() -> float:
        before = cpu_seconds()
        num_clips = work()
        return (cpu_seconds() - before) / num_clips

    return run_once


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def preprocess(work: Workload) -> int:
    """Build one shard the way a Ray task does; returns the number of clips."""
    output = work.folder / "shards"
    shutil.rmtree(output, ignore_errors=True)
    built = build_shard(shard_job(work.videos, output, work.clip_format, num_clips=work.shard_size))
    assert len(built.record.samples) == work.shard_size, built.record.rejected
    return work.shard_size


def shard_job(videos: Sequence[Path], output: Path, clip_format: ClipFormat, *, num_clips: int) -> ShardJob:
    """A shard of so many clips from these videos in turn, with the default rules and limits."""
    root = videos[0].parent
    config = PreprocessConfig(dataset=Folder(root=root), output=str(output), format=clip_format)
    clips = tuple(
        PlannedClip(key=f"clip{i}", label=0, class_name="a", source=videos[i % len(videos)].name, start_seconds=None)
        for i in range(num_clips)
    )
    return ShardJob(
        output=str(output),
        data_roots=(root,),
        shard=PlannedShard(name="train/000000.tar", split="train", clips=clips),
        plan_sha256="",
        clip_format=clip_format,
        options=config.decode_options,
        limits=config.process_limits,
    )


def decode_only(work: Workload, ffmpeg: str) -> int:
    """Decode every picture of every clip with one thread and throw it away: the usual lower bound."""
    for video in work.videos:
        run(ffmpeg, *QUIET, "-threads", "1", "-i", str(video), "-map", "0:v", "-f", "null", "-")
    return len(work.videos)


def with_processes(work: Workload, ffmpeg: str) -> int:
    """The same samples the way most tools make them: ffprobe, then ffmpeg, for every clip; one shard of them."""
    folder = work.folder / "cli"
    folder.mkdir(exist_ok=True)
    return write_shard(folder, decoded_by_processes(work, ffmpeg), work.clip_format, SampleBuilder(work.clip_format))


def decoded_by_processes(work: Workload, ffmpeg: str) -> Iterator[DecodedVideo]:
    """Each video by one ffprobe and one ffmpeg."""
    size, num_segments = work.clip_format.frame_size, work.clip_format.num_segments
    picture_file, sound_file = work.folder / "cli/picture", work.folder / "cli/sound"
    scaling = f"scale={size}:{size}:force_original_aspect_ratio=increase,crop={size}:{size}"
    pictures = ["-map", "0:v", "-vf", f"fps={1 / work.clip_format.segment_seconds},{scaling}"]
    pictures += ["-frames:v", str(num_segments), "-f", "rawvideo", "-pix_fmt", "rgb24", str(picture_file)]
    sound = ["-map", "0:a", "-ac", "1", "-ar", str(work.clip_format.sample_rate_hz), "-f", "s16le", str(sound_file)]
    for video in work.videos:
        run(*probe_command(ffmpeg, video))
        run(ffmpeg, *QUIET, "-threads", "1", "-i", str(video), *pictures, *sound)
        yield DecodedVideo(
            frames=np.fromfile(picture_file, dtype=np.uint8).reshape(num_segments, size, size, 3),
            samples=np.fromfile(sound_file, dtype="<i2"),
            source_sha256=hashlib.sha256(video.read_bytes()).hexdigest(),
        )


def probe_command(ffmpeg: str, video: Path) -> list[str]:
    """ffprobe beside ffmpeg; where only ffmpeg is installed, ffmpeg itself reading the header."""
    beside = Path(ffmpeg).with_name("ffprobe")
    if beside.exists():
        return [str(beside), "-v", "error", "-show_streams", "-show_format", "-of", "json", str(video)]
    return [ffmpeg, *QUIET, "-i", str(video), "-t", "0", "-f", "null", "-"]
