"""The decoder process: whatever a file does to it costs that clip, and the next one decodes."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.clip import decode
from preprocessing.decoding.parent import DecoderProcess, ProcessLimits, environment

Ffmpeg = Callable[..., bytes]
LIMITS = ProcessLimits(clip_seconds=30.0, memory_mib=2048)


def test_a_clip_comes_back_as_it_is_stored(video: Path, options: DecodeOptions) -> None:
    with DecoderProcess(options, LIMITS) as decoder:
        stored = decoder.decode(video, root=video.parent, start_seconds=None)
    clip = decode(video, options, root=video.parent, start_seconds=None)
    assert np.array_equal(stored.samples, clip.samples)
    assert stored.frame_seconds == clip.frame_seconds
    assert stored.source_sha256 == hashlib.sha256(video.read_bytes()).hexdigest()
    for jpeg, frame in zip(stored.jpegs, clip.frames, strict=True):
        assert np.abs(np.asarray(Image.open(io.BytesIO(jpeg))) - frame.astype(int)).mean() < 16
    with av.open(io.BytesIO(stored.flac), "r") as container:
        assert container.streams.audio[0].rate == 16_000
        blocks = [block.to_ndarray()[0] for block in container.decode(container.streams.audio[0])]
    assert np.array_equal(np.concatenate(blocks), clip.samples)


def test_the_same_clip_gives_the_same_bytes_in_another_process(video: Path, options: DecodeOptions) -> None:
    def decoded() -> tuple[tuple[bytes, ...], bytes]:
        with DecoderProcess(options, LIMITS) as decoder:
            clip = decoder.decode(video, root=video.parent, start_seconds=None)
            return clip.jpegs, clip.flac

    assert decoded() == decoded()


def test_a_refused_file_keeps_the_process(tmp_path: Path, video: Path, options: DecodeOptions) -> None:
    (tmp_path / "page.mp4").write_text("<html>")
    with DecoderProcess(options, LIMITS) as decoder:
        with pytest.raises(DecodeError, match="missing_file"):
            decoder.decode(tmp_path / "none.mp4", root=tmp_path, start_seconds=None)
        with pytest.raises(DecodeError, match="not_media"):
            decoder.decode(tmp_path / "page.mp4", root=tmp_path, start_seconds=None)
        first = decoder.pid
        decoder.decode(video, root=video.parent, start_seconds=None)
        assert decoder.pid == first


def test_a_kill_from_outside_costs_nothing(video: Path, options: DecodeOptions) -> None:
    """Such as the kernel's, when another program has used up the memory of the machine."""
    with DecoderProcess(options, LIMITS) as decoder:
        decoder.decode(video, root=video.parent, start_seconds=None)
        assert decoder.pid is not None
        os.kill(decoder.pid, signal.SIGKILL)
        assert len(decoder.decode(video, root=video.parent, start_seconds=None).jpegs) == 4


def test_a_hang_costs_one_clip(video: Path, options: DecodeOptions) -> None:
    """A stopped process answers as little as one that loops for ever."""
    with DecoderProcess(options, ProcessLimits(clip_seconds=1.5, memory_mib=2048)) as decoder:
        decoder.decode(video, root=video.parent, start_seconds=None)
        assert decoder.pid is not None
        os.kill(decoder.pid, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(DecodeError, match=r"timeout: not decoded within 1\.5 s"):
            decoder.decode(video, root=video.parent, start_seconds=None)
        assert time.monotonic() - started < 10
        assert len(decoder.decode(video, root=video.parent, start_seconds=None).jpegs) == 4


@pytest.fixture(scope="module")
def large(media: Path, ffmpeg: Ffmpeg, video: Path) -> Path:
    """4 s of pictures of 4096x4096 pixels, one a second: each takes 25 MB, and their decoder keeps several."""
    path = media / "large.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=gray:s=4096x4096:r=1:d=4", "-i", video, "-map", "0:v", "-map", "1:a",
           "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "copy", path)  # fmt: skip
    return path


def test_memory_is_limited(large: Path, video: Path, options: DecodeOptions) -> None:
    """20 MiB more than usual are allowed. The reason is `memory`, though some decoders call any failure bad data."""
    with DecoderProcess(options, LIMITS) as decoder:
        decoder.decode(video, root=video.parent, start_seconds=None)
        pages = int(Path(f"/proc/{decoder.pid}/statm").read_text().split()[0])
        assert len(decoder.decode(large, root=large.parent, start_seconds=None).jpegs) == 4
    usual_mib = pages * os.sysconf("SC_PAGE_SIZE") >> 20
    with DecoderProcess(options, ProcessLimits(clip_seconds=30.0, memory_mib=usual_mib + 20)) as decoder:
        with pytest.raises(DecodeError, match=f"memory: decoding it needs more than {usual_mib + 20} MiB"):
            decoder.decode(large, root=large.parent, start_seconds=None)
        assert len(decoder.decode(video, root=video.parent, start_seconds=None).jpegs) == 4


def test_the_memory_of_one_clip_is_not_held_against_the_next(large: Path, options: DecodeOptions) -> None:
    """A process that was near its limit may be over it with a clip that alone is not: a fresh one decides."""
    with DecoderProcess(options, LIMITS) as decoder:
        first = decoder.decode(large, root=large.parent, start_seconds=None)
        status = Path(f"/proc/{decoder.pid}/status").read_text()
    peak_mib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmPeak")) >> 10
    with DecoderProcess(options, ProcessLimits(clip_seconds=30.0, memory_mib=peak_mib + 1)) as decoder:
        for _ in range(3):
            assert decoder.decode(large, root=large.parent, start_seconds=None).jpegs == first.jpegs


def test_a_process_that_cannot_start_says_why(
    options: DecodeOptions, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    with (
        DecoderProcess(options, LIMITS) as decoder,
        pytest.raises(RuntimeError, match=r"the decoder process did not start \(status 1\)(.|\n)*PYTHONHOME"),
    ):
        decoder.decode(video, root=video.parent, start_seconds=None)


def test_a_program_that_is_not_there_leaves_no_half_started_process(
    options: DecodeOptions, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DecoderProcess(options, LIMITS) as decoder:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", str(tmp_path / "none"))
            with pytest.raises(FileNotFoundError):
                decoder.decode(video, root=video.parent, start_seconds=None)
        assert len(decoder.decode(video, root=video.parent, start_seconds=None).jpegs) == 4


def test_no_process_is_left_behind(video: Path, options: DecodeOptions) -> None:
    with DecoderProcess(options, LIMITS) as decoder:
        decoder.decode(video, root=video.parent, start_seconds=None)
        pid = decoder.pid
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()


SUPERVISOR = """
import os, signal, sys, time
from pathlib import Path
from preprocessing.decoding.acceptance import DecodeOptions
from preprocessing.decoding.parent import DecoderProcess, EncodedClip, ProcessLimits
video = Path(sys.argv[1])
with DecoderProcess(DecodeOptions(**{options}), ProcessLimits(clip_seconds=300.0, memory_mib=2048)) as decoder:
    decoder.decode(video, root=video.parent, start_seconds=None)
    os.kill(decoder.pid, signal.SIGSTOP)
    print(decoder.pid, flush=True)
    decoder.decode(video, root=video.parent, start_seconds=None)
"""


def test_a_killed_supervisor_leaves_no_decoder_behind_even_one_that_hangs(video: Path, options: DecodeOptions) -> None:
    program = SUPERVISOR.format(options=asdict(options))
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", program, video], cwd=root, stdout=subprocess.PIPE) as supervisor:
        try:
            assert supervisor.stdout is not None
            pid = int(supervisor.stdout.readline())
            wait_until(lambda: state_of(pid) == "T", "the decoder process hangs")
        finally:
            supervisor.kill()
    # It stays a zombie until its new parent has taken note.
    wait_until(lambda: state_of(pid) in ("", "Z"), "the decoder process has ended")


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def state_of(pid: int) -> str:
    """`T` stopped, `Z` ended and not yet waited for, and so on; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def test_the_process_finds_this_copy_of_the_package() -> None:
    """Not another one that is installed."""
    first = environment()["PYTHONPATH"].split(os.pathsep)[0]
    assert (Path(first) / "preprocessing" / "decoding" / "child.py").is_file()
