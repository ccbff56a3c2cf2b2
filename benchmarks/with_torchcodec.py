"""The samples of preprocessing made with torchcodec, in a process of its own.

torchcodec brings no FFmpeg: it looks for shared libraries named as FFmpeg names them. PyAV's wheel has them under names
of its own, and the dynamic loader reads its search path only when a process starts: hence links under the usual names
in a folder that the process is started with. So both decode with the same build of FFmpeg.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

import av
import numpy as np
import torch

from benchmarks.storing import DecodedVideo, write_shard
from preprocessing.decoding.segments import Grid, to_int16
from preprocessing.schema import ClipFormat
from preprocessing.storage.sample_builder import SampleBuilder

BUNDLED_NAME = re.compile(r"(lib\w+)-[0-9a-f]{8}\.so\.(\d+)")
"""`libavcodec-5e6b81c2.so.62.28.102` in a wheel is `libavcodec.so.62` elsewhere."""


class NotAvailableError(Exception):
    """torchcodec cannot be measured here; the message says why."""


class TorchcodecProcess:
    """A warm process that builds shards with torchcodec.

    Raises:
        NotAvailableError: on entering, if torchcodec is not installed or finds no FFmpeg.
    """

    def __init__(self, folder: Path, clip_format: ClipFormat) -> None:
        self._folder = folder
        self._arguments = [str(folder / "shards"), clip_format.model_dump_json()]
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self.versions = ""
        """Of torchcodec and of the FFmpeg it has loaded."""

    def __enter__(self) -> TorchcodecProcess:
        links = link_libraries(self._folder / "libraries")
        search = os.pathsep.join(filter(None, [str(links), os.environ.get("LD_LIBRARY_PATH", "")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.with_torchcodec", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=Path(__file__).resolve().parents[1],
            env=os.environ | {"LD_LIBRARY_PATH": search, "OMP_NUM_THREADS": "1"},
        )
        answer = self._answer()
        if "unavailable" in answer:
            self.__exit__(None, None, None)
            raise NotAvailableError(answer["unavailable"])
        self.versions = answer["versions"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()
        self._errors.close()

    def cpu_seconds_per_clip(self, videos: Sequence[Path]) -> float:
        """Build a shard of these videos."""
        assert self._process.stdin is not None, "the process was started with a pipe"
        self._process.stdin.write(json.dumps([str(video) for video in videos]) + "\n")
        self._process.stdin.flush()
        return float(self._answer()["cpu_seconds_per_clip"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None, "the process was started with a pipe"
        if line := self._process.stdout.readline():
            return cast(dict[str, Any], json.loads(line))
        status = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()[-2000:]
        raise RuntimeError(f"the process with torchcodec ended with status {status}: {said}")


def link_libraries(folder: Path) -> Path:
    """A folder with the libraries of PyAV's wheel, under their own names and under FFmpeg's."""
    folder.mkdir(parents=True)
    for library in Path(av.__file__).parent.with_name("av.libs").glob("lib*.so*"):
        names = {library.name}
        if match := BUNDLED_NAME.match(library.name):
            names.add(f"{match[1]}.so.{match[2]}")
        for name in names:
            (folder / name).symlink_to(library)
    return folder


def main(output: Path, clip_format: ClipFormat) -> None:
    """Say which versions these are; then build a shard per line of video paths and say its CPU seconds per clip."""
    try:
        import torchcodec
    except (ImportError, OSError, RuntimeError) as error:  # not installed, or no FFmpeg that it can load
        say(unavailable=" ".join(str(error).split()))
        return
    say(versions=f"torchcodec {torchcodec.__version__}, FFmpeg {torchcodec.ffmpeg_major_version}")
    torch.set_num_threads(1)
    builder = SampleBuilder(clip_format)
    for line in sys.stdin:
        videos = [Path(video) for video in json.loads(line)]
        before = time.process_time()
        num_clips = write_shard(output, (decode(video, clip_format) for video in videos), clip_format, builder)
        say(cpu_seconds_per_clip=(time.process_time() - before) / num_clips)


def say(**answer: object) -> None:
    """Answer with one line."""
    print(json.dumps(answer), flush=True)


def decode(video: Path, clip_format: ClipFormat) -> DecodedVideo:
    """The frames on screen at the middles of the segments, and the sound, as torchcodec's documentation does it.

    Its samples are joined and counted from zero: where sound starts late or has a gap they lie elsewhere than ours.
    """
    from torchcodec.decoders import AudioDecoder, VideoDecoder
    from torchcodec.transforms import CenterCrop, Resize

    size = clip_format.frame_size
    transforms = [Resize(scaled_shape(video, size)), CenterCrop((size, size))]
    frames = VideoDecoder(video, dimension_order="NHWC", num_ffmpeg_threads=1, transforms=transforms)
    seconds = frames.metadata.end_stream_seconds
    assert seconds, "an exact scan finds the end"
    start = max((seconds - clip_format.clip_seconds) / 2, 0.0)
    grid = Grid(clip_format.num_segments, clip_format.segment_seconds, clip_format.sample_rate_hz, start)
    sound = AudioDecoder(video, sample_rate=clip_format.sample_rate_hz, num_channels=1).get_all_samples().data[0]
    first = round(start * clip_format.sample_rate_hz)
    return DecodedVideo(
        frames=np.asarray(frames.get_frames_played_at(torch.from_numpy(grid.middles)).data.numpy(), np.uint8),
        samples=to_int16(sound[first : first + grid.num_samples].numpy()),
        source_sha256=hashlib.sha256(video.read_bytes()).hexdigest(),
    )


@cache
def scaled_shape(video: Path, size: int) -> tuple[int, int]:
    """Height and width of a video scaled to its short side; remembered, so that only the first round reads it twice."""
    from torchcodec.decoders import VideoDecoder

    shape = VideoDecoder(video).metadata
    height, width = shape.height or 0, shape.width or 0
    scale = size / min(height, width)
    return round(height * scale), round(width * scale)


if __name__ == "__main__":
    main(Path(sys.argv[1]), ClipFormat.model_validate_json(sys.argv[2]))
