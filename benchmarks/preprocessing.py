"""What preprocessing a clip costs, against only decoding it and against ffprobe + ffmpeg processes.

CPU seconds of this process and its children, in a warm process: what a Ray task pays per clip, its decoder process
included, Ray's own start and the import of torch (once per worker) not.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import torch

from benchmarks.row import Row
from preprocessing.building import ShardJob, build_shard
from preprocessing.config import PreprocessConfig
from preprocessing.datasets import Folder
from preprocessing.decoder import encode_flac, encode_jpeg
from preprocessing.plan import PlannedClip, PlannedShard
from preprocessing.samples import SampleBuilder
from preprocessing.schema import ClipFormat
from preprocessing.shards import ShardWriter
from preprocessing.store import Store
from preprocessing.supervision import EncodedClip

ROUNDS = 5
CLIPS_PER_SHARD = 36
"""Fewer than the 128 of a real shard, so the decoder process's start weighs more here."""
FORMAT = ClipFormat()
QUIET = ("-nostdin", "-v", "error", "-y")

PICTURES = (
    "testsrc2=s=340x256:r=25,noise=alls=4:allf=t",
    "testsrc2=s=340x256:r=25,noise=alls=6:allf=t",
    "mandelbrot=s=340x256:r=25:end_scale=0.01,noise=alls=3:allf=t",
    "life=s=340x256:r=25:mold=10:ratio=0.1:seed=1:death_color=#402010:life_color=#c0d0a0,gblur=sigma=2",
    "life=s=340x256:r=25:mold=10:ratio=0.1:seed=2:death_color=#204010:life_color=#c0a0d0,gblur=sigma=2",
)
"""Ten seconds of each come to 0.5 to 1 MB, as Kinetics clips of this size do."""


def rows() -> list[Row]:
    """The two rows about preprocessing."""
    ffmpeg = shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        videos = encode_videos(Path(folder) / "videos", ffmpeg)
        ways: dict[str, Callable[[], int]] = {
            "preprocess": lambda: preprocess(videos, Path(folder) / "shards"),
            "decode": lambda: decode_only(videos, ffmpeg),
            "ffmpeg_cli": lambda: with_processes(videos, Path(folder) / "cli", ffmpeg),
        }
        seconds = measured(ways)
    detail = {
        **{f"{way}_cpu_ms_per_clip": 1000 * value for way, value in seconds.items()},
        "ffmpeg": version_of(ffmpeg),
        "probe": Path(probe_command(ffmpeg, videos[0])[0]).name,
    }
    return [
        Row("preprocess_vs_decode", seconds["preprocess"] / seconds["decode"], "0.60 or less", detail),
        Row("preprocess_vs_ffmpeg_cli", seconds["preprocess"] / seconds["ffmpeg_cli"], "0.34 or less", detail),
    ]


def measured(ways: dict[str, Callable[[], int]]) -> dict[str, float]:
    """Median CPU seconds per clip of each way, run in turns; the first round only warms up."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS + 1):
        for way, run in ways.items():
            before = cpu_seconds()
            num_clips = run()
            seconds[way].append((cpu_seconds() - before) / num_clips)
    return {way: statistics.median(values[1:]) for way, values in seconds.items()}


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def encode_videos(folder: Path, ffmpeg: str) -> list[Path]:
    """Ten-second clips of 340x256 at 25 frames a second, H.264 and stereo AAC, with an encoder's usual settings."""
    folder.mkdir()
    videos = [folder / f"{index}.mp4" for index in range(len(PICTURES))]
    for seed, (picture, video) in enumerate(zip(PICTURES, videos, strict=True)):
        sound = f"anoisesrc=c=pink:r=44100:a=0.3:seed={seed}"
        source = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-t", "10"]
        codecs = "-c:v libx264 -preset medium -crf 23 -pix_fmt yuv420p -c:a aac -b:a 128k -ac 2"
        run(ffmpeg, *QUIET, *source, *codecs.split(), str(video))
    return videos


def preprocess(videos: Sequence[Path], output: Path) -> int:
    """Build one shard the way a Ray task does; returns the number of clips."""
    shutil.rmtree(output, ignore_errors=True)
    root = videos[0].parent
    config = PreprocessConfig(dataset=Folder(root=root), output=str(output))
    clips = tuple(
        PlannedClip(key=f"clip{i}", label=0, class_name="a", source=videos[i % len(videos)].name, start_seconds=None)
        for i in range(CLIPS_PER_SHARD)
    )
    shard = PlannedShard(name="train/000000.tar", split="train", clips=clips)
    job = ShardJob(
        output=str(output),
        data_roots=(root,),
        shard=shard,
        plan_sha256="",
        clip_format=FORMAT,
        options=config.decode_options,
        limits=config.process_limits,
    )
    built = build_shard(job)
    assert len(built.record.samples) == CLIPS_PER_SHARD, built.record.rejected
    return CLIPS_PER_SHARD


def decode_only(videos: Sequence[Path], ffmpeg: str) -> int:
    """Decode every picture of every clip with one thread and throw it away: the usual lower bound."""
    for video in videos:
        run(ffmpeg, *QUIET, "-threads", "1", "-i", str(video), "-map", "0:v", "-f", "null", "-")
    return len(videos)


def with_processes(videos: Sequence[Path], folder: Path, ffmpeg: str) -> int:
    """The same samples the way most tools make them: ffprobe, then ffmpeg, for every clip; one shard of them."""
    folder.mkdir(exist_ok=True)
    builder = SampleBuilder(FORMAT)
    size, picture_file, sound_file = FORMAT.frame_size, folder / "picture", folder / "sound"
    scaling = f"scale={size}:{size}:force_original_aspect_ratio=increase,crop={size}:{size}"
    with ShardWriter(Store(str(folder)), "train/000000.tar") as writer:
        for index, video in enumerate(videos):
            run(*probe_command(ffmpeg, video))
            pictures = ["-map", "0:v", "-vf", f"fps=1,{scaling}", "-frames:v", str(FORMAT.num_segments)]
            pictures += ["-f", "rawvideo", "-pix_fmt", "rgb24", str(picture_file)]
            sound = ["-map", "0:a", "-ac", "1", "-ar", str(FORMAT.sample_rate_hz), "-f", "s16le", str(sound_file)]
            run(ffmpeg, *QUIET, "-threads", "1", "-i", str(video), *pictures, *sound)
            frames = np.fromfile(picture_file, dtype=np.uint8).reshape(-1, size, size, 3)
            samples = np.zeros(FORMAT.num_segments * FORMAT.segment_samples, dtype=np.int16)
            heard = np.fromfile(sound_file, dtype="<i2")[: len(samples)]
            samples[: len(heard)] = heard
            clip = EncodedClip(
                jpegs=tuple(encode_jpeg(frame, FORMAT.jpeg_quality) for frame in frames),
                flac=encode_flac(samples, FORMAT.sample_rate_hz),
                samples=samples,
                frame_seconds=(),
                start_seconds=0.0,
                end_seconds=FORMAT.clip_seconds,
                video_coverage=1.0,
                audio_coverage=1.0,
                missing_frames=0,
                decode_errors=0,
                source_sha256="0" * 64,
            )
            planned = PlannedClip(key=f"clip{index}", label=0, class_name="a", source=video.name, start_seconds=None)
            writer.add(planned.key, label=0, source_sha256="", members=builder.build(planned, clip))
        writer.commit(split="train", plan_sha256="", rejected=(), libraries={})
    return len(videos)


def probe_command(ffmpeg: str, video: Path) -> list[str]:
    """ffprobe beside ffmpeg; where only ffmpeg is installed, ffmpeg itself reading the header."""
    beside = Path(ffmpeg).with_name("ffprobe")
    if beside.exists():
        return [str(beside), "-v", "error", "-show_streams", "-show_format", "-of", "json", str(video)]
    return [ffmpeg, *QUIET, "-i", str(video), "-t", "0", "-f", "null", "-"]


def version_of(ffmpeg: str) -> str:
    """The version that a program gives itself; how its libraries are linked decides what its start costs."""
    said = subprocess.run([ffmpeg, "-version"], check=True, capture_output=True, text=True).stdout
    return said.partition(" Copyright")[0]


def run(*command: str) -> None:
    """Run a command whose output does not matter."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
