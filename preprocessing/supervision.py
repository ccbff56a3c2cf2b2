"""The decoder process, seen from outside: media is hostile input, so a hang or a crash must cost one clip only.

with DecoderProcess(options, limits) as decoder:
    clip = decoder.decode(path, root=root, start_seconds=None)     # or DecodeError
"""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from preprocessing.decoding import DecodeError, DecodeOptions

LENGTH = struct.Struct("<I")
START_SECONDS_LIMIT = 120.0


@dataclass(frozen=True)
class ProcessLimits:
    """What one clip may cost."""

    clip_seconds: float
    memory_mib: int


@dataclass(frozen=True)
class EncodedClip:
    """A decoded clip, its frames and waveform encoded as they are stored."""

    jpegs: tuple[bytes, ...]
    flac: bytes
    samples: NDArray[np.int16]
    """The waveform that `flac` holds: `[num_samples]`."""
    frame_seconds: tuple[float, ...]
    start_seconds: float
    end_seconds: float
    video_coverage: float
    audio_coverage: float
    missing_frames: int
    decode_errors: int
    source_sha256: str


class DecoderProcess:
    """A process that decodes clips one after another; killed, and started again, when a clip hangs or crashes it."""

    def __init__(self, options: DecodeOptions, limits: ProcessLimits) -> None:
        self._arguments = json.dumps({"options": asdict(options), "limits": asdict(limits)})
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> DecoderProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._log.close()

    @property
    def pid(self) -> int | None:
        """Process number, or None while no process runs."""
        return None if self._process is None else self._process.pid

    def decode(self, path: Path, *, root: Path, start_seconds: float | None) -> EncodedClip:
        """Decode and encode one clip.

        Raises:
            DecodeError: if the clip cannot be stored; `timeout`, `memory` and `crash` are reasons too.
        """
        process = self._running()
        request = {"path": os.fspath(path), "root": os.fspath(root), "start_seconds": start_seconds}
        try:
            _write(process, request)
            header, blobs = self._answer(process, self._limits.clip_seconds)
        except TimeoutError as error:
            self._stop()
            raise DecodeError("timeout", f"not decoded within {self._limits.clip_seconds:g} s") from error
        except (EOFError, BrokenPipeError) as error:
            status = self._stop()
            raise DecodeError("crash", f"the decoder process ended with status {status}") from error
        if "reason" in header:
            raise DecodeError(header["reason"], header["detail"])
        *jpegs, flac, samples = blobs
        frame_seconds = tuple(header.pop("frame_seconds"))
        waveform = np.frombuffer(samples, dtype="<i2")
        return EncodedClip(tuple(jpegs), flac, waveform, frame_seconds=frame_seconds, **header)

    def _running(self) -> subprocess.Popen[bytes]:
        """The process, started if there is none."""
        if self._process is not None:
            return self._process
        packages = str(Path(__file__).resolve().parents[1])
        search = os.pathsep.join(filter(None, [packages, os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "preprocessing.decoder", self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,
            env=os.environ | {"PYTHONPATH": search, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        try:
            self._answer(self._process, START_SECONDS_LIMIT)
        except (EOFError, TimeoutError) as error:
            status = self._stop()
            self._log.seek(0)
            said = self._log.read().decode(errors="replace").strip()[-2000:]
            raise RuntimeError(f"the decoder process did not start (status {status}): {said}") from error
        return self._process

    def _answer(self, process: subprocess.Popen[bytes], seconds: float) -> tuple[dict[str, Any], list[bytes]]:
        assert process.stdout is not None, "the process was started with a pipe"
        descriptor, deadline = process.stdout.fileno(), time.monotonic() + seconds
        return receive(lambda num_bytes: _read_until(descriptor, num_bytes, deadline))

    def _stop(self) -> int | None:
        """End the process and return its exit status (negative: the signal that killed it)."""
        process, self._process = self._process, None
        if process is None:
            return None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=0.5)  # it ends by itself when its input does, unless it hangs
        process.kill()
        return process.wait()


def message(header: dict[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """A message: the length of a JSON header, the header, and the blobs whose lengths the header lists."""
    text = json.dumps(header | {"blob_bytes": [len(blob) for blob in blobs]}).encode()
    return b"".join([LENGTH.pack(len(text)), text, *blobs])


def receive(read: Callable[[int], bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """The next message; `read(n)` gives exactly n bytes or raises EOFError."""
    header: dict[str, Any] = json.loads(read(LENGTH.unpack(read(LENGTH.size))[0]))
    return header, [read(num_bytes) for num_bytes in header.pop("blob_bytes")]


def _write(process: subprocess.Popen[bytes], request: dict[str, Any]) -> None:
    assert process.stdin is not None, "the process was started with a pipe"
    process.stdin.write(message(request))


def _read_until(descriptor: int, num_bytes: int, deadline: float) -> bytes:
    """Exactly `num_bytes` from a pipe, or TimeoutError at the deadline, or EOFError when the other side ends."""
    parts: list[bytes] = []
    while num_bytes:
        ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0.0))
        if not ready:
            raise TimeoutError
        part = os.read(descriptor, num_bytes)
        if not part:
            raise EOFError
        parts.append(part)
        num_bytes -= len(part)
    return b"".join(parts)
