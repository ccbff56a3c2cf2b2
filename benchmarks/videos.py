"""Videos for the benchmarks of preprocessing, and the ffmpeg programs that they are measured against."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg

QUIET = ("-nostdin", "-v", "error", "-y")

PICTURES = (
    "testsrc2=s=340x256:r=25,noise=alls=4:allf=t",
    "testsrc2=s=340x256:r=25,noise=alls=6:allf=t",
    "mandelbrot=s=340x256:r=25:end_scale=0.01,noise=alls=3:allf=t",
    "life=s=340x256:r=25:mold=10:ratio=0.1:seed=1:death_color=#402010:life_color=#c0d0a0,gblur=sigma=2",
    "life=s=340x256:r=25:mold=10:ratio=0.1:seed=2:death_color=#204010:life_color=#c0a0d0,gblur=sigma=2",
)
"""Ten seconds of each come to 0.5 to 1.3 MB, as Kinetics clips of this size do."""


def encode_videos(folder: Path, *, pictures: Sequence[str] = PICTURES, seconds: float = 10.0) -> list[Path]:
    """Clips of 340x256 at 25 frames a second, H.264 and stereo AAC, with an encoder's usual settings."""
    folder.mkdir(parents=True)
    videos = [folder / f"{index}.mp4" for index in range(len(pictures))]
    for seed, (picture, video) in enumerate(zip(pictures, videos, strict=True)):
        sound = f"anoisesrc=c=pink:r=44100:a=0.3:seed={seed}"
        source = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-t", str(seconds)]
        codecs = "-c:v libx264 -preset medium -crf 23 -pix_fmt yuv420p -c:a aac -b:a 128k -ac 2"
        run(imageio_ffmpeg.get_ffmpeg_exe(), *QUIET, *source, *codecs.split(), str(video))
    return videos


def repeated(videos: Sequence[Path], folder: Path, num_clips: int) -> list[Path]:
    """So many files of the same videos in turn, without copying them."""
    folder.mkdir(parents=True)
    files = [folder / f"clip_{index:04d}.mp4" for index in range(num_clips)]
    for index, file in enumerate(files):
        os.link(videos[index % len(videos)], file)
    return files


def ffmpegs() -> dict[str, str]:
    """The programs to measure against, the more usual one first: the system's, if there is one, and the bundled one."""
    system = shutil.which("ffmpeg")
    return ({"system": system} if system else {}) | {"bundled": imageio_ffmpeg.get_ffmpeg_exe()}


def version_of(ffmpeg: str) -> str:
    """The version that a program gives itself; how its libraries are linked decides what its start costs."""
    said = subprocess.run([ffmpeg, "-version"], check=True, capture_output=True, text=True).stdout
    return said.partition(" Copyright")[0]


def run(*command: str) -> None:
    """Run a command whose output does not matter."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
