"""What the decoder process stores, and how it answers: driven here by hand, over its socket."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from preprocessing.decoding.acceptance import DecodeOptions
from preprocessing.decoding.child import ALLOCATION_MIB, LOG_BYTES, encode_flac, encode_jpeg
from preprocessing.decoding.parent import DecoderProcess, environment
from preprocessing.decoding.protocol import ProcessLimits, message, receive

GENERATOR = np.random.default_rng(0)
NOISE = GENERATOR.integers(0, 256, (64, 64, 3), dtype=np.uint8)

WAVEFORMS: dict[str, NDArray[np.int16]] = {
    "silence": np.zeros(16_000, np.int16),
    "noise": GENERATOR.integers(-32_768, 32_768, 16_000, dtype=np.int16),
    "extremes": np.tile(np.array([-32_768, 32_767], np.int16), 8_000),
    "a tone": np.asarray(12_000 * np.sin(np.arange(160_000) * 0.17), np.int16),
    "one block and a sample": np.arange(4_609, dtype=np.int16),
}


@pytest.mark.parametrize("name", WAVEFORMS)
def test_flac_gives_back_every_sample(name: str) -> None:
    flac = encode_flac(WAVEFORMS[name], 16_000)
    with av.open(io.BytesIO(flac), "r") as container:
        stream = container.streams.audio[0]
        assert (stream.rate, stream.layout.name) == (16_000, "mono")
        blocks = [block.to_ndarray()[0] for block in container.decode(stream)]
    assert np.array_equal(np.concatenate(blocks), WAVEFORMS[name])


def test_encoding_twice_gives_the_same_bytes() -> None:
    assert encode_flac(WAVEFORMS["noise"], 16_000) == encode_flac(WAVEFORMS["noise"], 16_000)
    assert encode_jpeg(NOISE, 95) == encode_jpeg(NOISE.copy(), 95)


def test_a_jpeg_is_near_its_picture_and_nearer_with_quality() -> None:
    picture = np.asarray(np.add.outer(np.arange(64), 2 * np.arange(64))[..., None] * [1, 1, 1], np.uint8)

    def error(quality: int) -> float:
        stored = np.asarray(Image.open(io.BytesIO(encode_jpeg(picture, quality))), dtype=int)
        assert stored.shape == picture.shape
        return float(np.abs(stored - picture).mean())

    assert error(95) < 1.5 < error(5)


def test_flac_is_smaller_than_with_the_encoders_own_settings() -> None:
    """Noise with most of its power below 1 kHz, as speech and music have."""
    noise = np.random.default_rng(0).normal(0, 1, 32_000)
    samples = (2000 * np.convolve(noise, np.hanning(16) / 8, "same")).astype(np.int16)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=16_000, layout="mono", format="s16")
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis, :], format="s16", layout="mono")
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    assert len(encode_flac(samples, 16_000)) < len(buffer.getvalue())


def test_a_jpeg_shows_the_picture_in_its_colours() -> None:
    """Slopes of all three channels: a picture of another channel order or orientation would be far off."""
    rows, columns = np.mgrid[0:48, 0:64]
    rgb = np.stack([4 * columns, 5 * rows, 255 - 4 * columns], axis=-1).clip(0, 255).astype(np.uint8)
    jpeg = encode_jpeg(rgb, 95)
    assert np.abs(np.asarray(Image.open(io.BytesIO(jpeg))) - rgb.astype(int)).mean() < 2


def test_an_answer_to_the_worst_picture_is_within_its_bound(options: DecodeOptions) -> None:
    """Noise in full colour compresses least."""
    frame = GENERATOR.integers(0, 256, (options.frame_size, options.frame_size, 3), dtype=np.uint8)
    samples = options.num_segments * round(options.segment_seconds * options.sample_rate_hz)
    flac = encode_flac(GENERATOR.integers(-32_768, 32_768, samples, dtype=np.int16), options.sample_rate_hz)
    worst = options.num_segments * len(encode_jpeg(frame, 100)) + len(flac) + 2 * samples
    assert worst < options.max_answer_bytes


@contextmanager
def running(options: DecodeOptions, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """A decoder process that is ready, and the socket to it."""
    ours, theirs = socket.socketpair()
    arguments = json.dumps({"options": asdict(options), "limits": asdict(ProcessLimits(30.0, 2048))})
    command = [sys.executable, "-P", "-m", "preprocessing.decoding.child", arguments]
    with ours, log.open("wb") as output:
        with theirs:
            process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=output, stderr=output, env=environment())
        with process:
            ready, _ = answer(ours)
            assert ready == {"ready": True, "not_forbidden": ready["not_forbidden"]}
            yield process, ours
            ours.close()


def answer(channel: socket.socket, max_blob_bytes: int = 0) -> tuple[dict[str, Any], list[bytes]]:
    def read(num_bytes: int) -> bytes:
        data = channel.recv(num_bytes, socket.MSG_WAITALL)
        if len(data) < num_bytes:
            raise EOFError
        return data

    return receive(read, max_blob_bytes=max_blob_bytes)


def test_it_answers_with_a_clip_or_a_reason_and_ends_with_its_socket(
    video: Path, options: DecodeOptions, tmp_path: Path
) -> None:
    with running(options, tmp_path / "log") as (process, channel):
        (tmp_path / "page").write_text("<html>")
        process.send_signal(signal.SIGINT)  # Ctrl-C in a terminal reaches it, too: ending it is the supervisor's work
        for path in (video, tmp_path / "page", video):
            with path.open("rb") as file:
                socket.send_fds(
                    channel, [message({"suffix": ".mp4", "start_seconds": None, "is_kept": False})], [file.fileno()]
                )
            header, blobs = answer(channel, options.max_answer_bytes)
            if path == video:
                assert header["source_sha256"] == hashlib.sha256(video.read_bytes()).hexdigest()
                assert len(blobs) == options.num_segments + 2
            else:
                assert (header["reason"], blobs) == ("not_media", [])
        channel.close()
        assert process.wait(30) == 0
    assert (tmp_path / "log").read_text() == ""


def test_a_request_without_a_file_ends_it(options: DecodeOptions, tmp_path: Path) -> None:
    with running(options, tmp_path / "log") as (process, channel):
        channel.sendall(message({"suffix": ".mp4", "start_seconds": None, "is_kept": False}))
        assert process.wait(30) == 1
    assert "a request without its file" in (tmp_path / "log").read_text()


def test_it_is_confined_before_its_first_request(options: DecodeOptions, tmp_path: Path) -> None:
    """Its three descriptors and one more, bounded files and memory, no new rights, and a filter of calls."""
    with running(options, tmp_path / "log") as (process, _):
        folder = Path(f"/proc/{process.pid}")
        limits = {line[:25].strip(): line[26:].split()[:2] for line in (folder / "limits").read_text().splitlines()}
        status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines())
    assert status["Threads"].strip() == "1"  # others would not be confined
    assert limits["Max open files"] == ["4", "4"]
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max file size"] == [str(LOG_BYTES)] * 2
    assert limits["Max address space"] == [str((2048 + ALLOCATION_MIB) << 20)] * 2
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"  # a filter is in force


def test_it_holds_no_secret_and_no_file(
    options: DecodeOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket, and the log twice: nothing of what its parent has open, and no variable that it does not need."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    with (tmp_path / "other").open("wb") as other, running(options, tmp_path / "log") as (process, _):
        os.set_inheritable(other.fileno(), True)
        folder = Path(f"/proc/{process.pid}")
        assert b"a secret" not in (folder / "environ").read_bytes()
        assert sorted(int(entry.name) for entry in (folder / "fd").iterdir()) == [0, 1, 2]


def test_the_decoder_process_does_not_load_torch(video: Path, options: DecodeOptions) -> None:
    """Seen from outside, after a clip: the process maps libav, and no library of torch."""
    with DecoderProcess(options, ProcessLimits(clip_seconds=30.0, memory_mib=2048)) as decoder:
        decoder.decode(video, root=video.parent, start_seconds=None)
        mapped = Path(f"/proc/{decoder.pid}/maps").read_text()
    assert "libavcodec" in mapped
    assert "torch" not in mapped
