"""The decoder process: whatever a file does to it costs that clip, and the next one decodes."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from preprocessing.decoding import DecodeError, DecodeOptions, decode
from preprocessing.supervision import DecoderProcess, ProcessLimits

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
    with DecoderProcess(options, LIMITS) as decoder:
        with pytest.raises(DecodeError, match="missing_file"):
            decoder.decode(tmp_path / "none.mp4", root=tmp_path, start_seconds=None)
        first = decoder.pid
        decoder.decode(video, root=video.parent, start_seconds=None)
        assert decoder.pid == first


def test_a_crash_costs_one_clip(video: Path, options: DecodeOptions) -> None:
    with DecoderProcess(options, LIMITS) as decoder:
        decoder.decode(video, root=video.parent, start_seconds=None)
        assert decoder.pid is not None
        os.kill(decoder.pid, signal.SIGKILL)
        with pytest.raises(DecodeError, match="crash: the decoder process ended with status -9"):
            decoder.decode(video, root=video.parent, start_seconds=None)
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


def test_memory_is_limited(tmp_path: Path, ffmpeg: Ffmpeg, video: Path, options: DecodeOptions) -> None:
    """A picture of 4096x4096 pixels takes 25 MB and its decoder keeps several; 20 MiB more than usual are allowed."""
    path = tmp_path / "large.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=gray:s=4096x4096:r=1:d=4", "-i", video, "-map", "0:v", "-map", "1:a",
           "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "copy", path)  # fmt: skip
    with DecoderProcess(options, LIMITS) as decoder:
        decoder.decode(video, root=video.parent, start_seconds=None)
        pages = int(Path(f"/proc/{decoder.pid}/statm").read_text().split()[0])
        assert len(decoder.decode(path, root=tmp_path, start_seconds=None).jpegs) == 4
    usual_mib = pages * os.sysconf("SC_PAGE_SIZE") >> 20
    with DecoderProcess(options, ProcessLimits(clip_seconds=30.0, memory_mib=usual_mib + 20)) as decoder:
        with pytest.raises(DecodeError) as error:
            decoder.decode(path, root=tmp_path, start_seconds=None)
        assert error.value.reason in {"memory", "decode_errors"}  # some decoders report any failure as bad data
        assert len(decoder.decode(video, root=video.parent, start_seconds=None).jpegs) == 4


def test_a_process_that_cannot_start_says_why(
    options: DecodeOptions, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    with (
        DecoderProcess(options, LIMITS) as decoder,
        pytest.raises(RuntimeError, match=r"the decoder process did not start \(status 1\)(.|\n)*PYTHONHOME"),
    ):
        decoder.decode(video, root=video.parent, start_seconds=None)


def test_no_process_is_left_behind(video: Path, options: DecodeOptions) -> None:
    with DecoderProcess(options, LIMITS) as decoder:
        decoder.decode(video, root=video.parent, start_seconds=None)
        pid = decoder.pid
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()
