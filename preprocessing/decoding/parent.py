"""The decoder process, seen from outside: media is hostile input, so a hang or a crash must cost one clip only."""

from __future__ import annotations

import functools
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, ValidationError

from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.opening import open_video
from preprocessing.decoding.protocol import ProcessLimits, ProtocolError, message, receive
from preprocessing.schema import Tracks
from preprocessing.settings import Settings

__all__ = ["DecodeError", "DecoderProcess", "EncodedClip", "ProcessLimits"]

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Read = Callable[[dict[str, Any], list[bytes]], Answer]
"""Makes an answer of its header and blobs, or raises ProtocolError or ValidationError if it is none."""

START_SECONDS_LIMIT = 120.0
ATTEMPTS_AT_A_CRASH = 3
"""A decoder may be killed from outside, as by a system without memory: a clip must end it every time to be refused."""
STOP_SECONDS = 0.5
WATCH_SECONDS = 0.02
"""Seconds between two looks at the memory of a busy decoder."""
PASSED_ON = ("DYLD_LIBRARY_PATH", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "TMPDIR")
"""The variables that a decoder process inherits: all that Python may need to start, and no secret."""


class EncodedClip(Settings):
    """A decoded clip, its frames and waveform encoded as they are stored."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    jpegs: tuple[bytes, ...]
    flac: bytes
    samples: NDArray[np.int16]
    """The waveform that `flac` holds: `[num_samples]`."""
    frame_seconds: tuple[float, ...]
    start_seconds: float
    end_seconds: float
    video_coverage: float = Field(ge=0, le=1)
    audio_coverage: float = Field(ge=0, le=1)
    missing_frames: int = Field(ge=0)
    decode_errors: int = Field(ge=0)
    source_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    tracks: Tracks | None = None
    """The tracks that were decoded, if the file has several of a kind."""


class Refusal(Settings):
    """A reason why there is no clip."""

    reason: str = Field(pattern="^[a-z_]{1,40}$")
    detail: str = Field(max_length=4000)


class DecoderStartError(RuntimeError):
    """The decoder process did not start: it was killed meanwhile, or cannot run here."""


class DecoderProcess:
    """A process that decodes clips one after another; killed, and started again, when a clip hangs or crashes it.

    This side opens each video and hands the open file over: the process cannot open anything (`sandbox.py`).
    """

    def __init__(self, options: DecodeOptions, limits: ProcessLimits) -> None:
        self._options = options
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
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

        `crash` and `memory` are said only if fresh processes say so too: neither a kill from outside nor what another
        clip left behind may decide about this one.

        Raises:
            DecodeError: if the clip cannot be stored; `timeout`, `memory` and `crash` are reasons too.
        """
        request = {"suffix": path.suffix.lower(), "start_seconds": start_seconds, "is_kept": False}
        with open_video(path, root=root) as file:
            return self.again_at_a_crash(str(path), lambda: self.ask(request, self.clip_in, file=file))

    def clip_in(self, header: dict[str, Any], blobs: list[bytes]) -> EncodedClip:
        """The clip in an answer, as `encoded_clip` reads it."""
        return encoded_clip(header, blobs, self._options)

    def again_at_a_crash(self, name: str, ask: Callable[[], Answer]) -> Answer:
        """The answer that `ask` gets about the video `name`, asked again as long as the process crashes."""
        for _ in range(ATTEMPTS_AT_A_CRASH - 1):
            try:
                return ask()
            except DecodeError as error:
                if error.reason not in ("crash", "memory"):
                    raise
                logger.info("'%s': %s; trying it in a fresh process", name, error)
        return ask()

    def tell(self, request: dict[str, Any], *, file: FileIO | None = None) -> socket.socket:
        """Send a request, with an open file beside it if it needs one; the socket on which the answer comes."""
        channel = self._running()
        if file is None:
            channel.sendall(message(request))
        else:
            socket.send_fds(channel, [message(request)], [file.fileno()])
        return channel

    def ask(self, request: dict[str, Any], read: Read[Answer], *, file: FileIO | None = None) -> Answer:
        """Send a request; `read` reads the answer. DecodeError: the reason in it, or the one for which it ended."""
        try:
            channel = self.tell(request, file=file)
            header, blobs = self._answer(channel, self._limits.clip_seconds, self._options.max_answer_bytes)
            self._check_memory()
            if "reason" in header:
                refusal = Refusal.model_validate(header)
                raise DecodeError(refusal.reason, refusal.detail)
            return read(header, blobs)
        except TimeoutError as error:
            self._stop(kill=True)
            raise DecodeError("timeout", f"not decoded within {self._limits.clip_seconds:g} s") from error
        except MemoryError as error:
            self._stop(kill=True)
            raise DecodeError("memory", f"decoding it needs more than {self._limits.memory_mib} MiB") from error
        except (EOFError, ConnectionError) as error:
            status = self._stop()
            logger.info("the decoder process ended with status %s: %s", status, self._said())
            raise DecodeError("crash", f"the decoder process ended with status {status}") from error
        except (ProtocolError, ValidationError) as error:
            self._stop(kill=True)
            logger.info("the decoder process answered what is no clip: %s", error)
            raise DecodeError("crash", "the decoder process answered what is no clip") from error

    def _running(self) -> socket.socket:
        """The socket to the process, which is started if there is none."""
        if self._channel is not None:
            return self._channel
        self._log.seek(0)
        self._log.truncate()
        channel, theirs = socket.socketpair()
        arguments = json.dumps({"options": asdict(self._options), "limits": asdict(self._limits)})
        try:
            with theirs:
                self._process = subprocess.Popen(
                    # -P: the folder in which a job happens to run must not replace a module.
                    [sys.executable, "-P", "-m", "preprocessing.decoding.child", arguments],
                    stdin=theirs.fileno(),
                    stdout=self._log,
                    stderr=self._log,
                    env=environment(),
                )
        except OSError:
            channel.close()
            raise
        self._channel = channel
        try:
            ready, _ = self._answer(channel, START_SECONDS_LIMIT, 0)
        except (EOFError, ConnectionError, ProtocolError, TimeoutError) as error:
            status = self._stop()
            raise DecoderStartError(f"the decoder process did not start (status {status}): {self._said()}") from error
        warn_of_missing_protection(tuple(ready.get("not_forbidden", ())))
        return channel

    def _answer(
        self, channel: socket.socket, seconds: float, max_blob_bytes: int
    ) -> tuple[dict[str, Any], list[bytes]]:
        """The next message of the process, or TimeoutError, or MemoryError as soon as it holds too much."""
        deadline = time.monotonic() + seconds

        def read(num_bytes: int) -> bytes:
            data = bytearray(num_bytes)
            missing = memoryview(data)
            while missing:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                channel.settimeout(min(left, WATCH_SECONDS))
                try:
                    received = channel.recv_into(missing)
                except TimeoutError:
                    self._check_memory()
                    continue
                if not received:
                    raise EOFError
                missing = missing[received:]
            return bytes(data)

        return receive(read, max_blob_bytes=max_blob_bytes)

    def _check_memory(self) -> None:
        """Raise MemoryError if the process has ever held more than the limit.

        Its own failures do not tell: some decoders call any failure, that of an allocation too, bad data.
        """
        if self.pid is not None and peak_address_space_mib(self.pid) > self._limits.memory_mib:
            raise MemoryError

    def _stop(self, *, kill: bool = False) -> int | None:
        """End the process and return its exit status (negative: the signal that killed it)."""
        process, self._process = self._process, None
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        if process is None:
            return None
        if not kill:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(STOP_SECONDS)  # it ends by itself when its socket does, unless it hangs
        process.kill()
        return process.wait()

    def _said(self) -> str:
        """The end of the process's error output."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(size - 2000, 0))
        return self._log.read().decode(errors="replace").strip()


def environment() -> dict[str, str]:
    """The variables of a decoder process: it finds this package, uses one thread, and knows no secret."""
    passed_on = {name: value for name in PASSED_ON if (value := os.environ.get(name))}
    packages = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join(filter(None, [packages, passed_on.get("PYTHONPATH", "")]))
    return passed_on | {"PYTHONPATH": search, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def encoded_clip(header: dict[str, Any], blobs: list[bytes], options: DecodeOptions) -> EncodedClip:
    """The clip in an answer.

    Raises:
        ProtocolError: if it has another number of frames or samples than `options` ask for.
        ValidationError: if a number is missing or impossible.
    """
    num_samples = options.num_segments * round(options.segment_seconds * options.sample_rate_hz)
    if len(blobs) != options.num_segments + 2 or len(blobs[-1]) != 2 * num_samples:
        raise ProtocolError(f"blobs of {[len(blob) for blob in blobs]} bytes")
    *jpegs, flac, samples = blobs
    clip = EncodedClip.model_validate(
        header | {"jpegs": jpegs, "flac": flac, "samples": np.frombuffer(samples, dtype="<i2")}
    )
    if (num_times := len(clip.frame_seconds)) != options.num_segments:
        raise ProtocolError(f"{num_times} frame times")
    return clip


def peak_address_space_mib(pid: int) -> int:
    """The most memory that a process has ever held, in MiB; 0 if it has ended or the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmPeak:")), 0) >> 10


@functools.cache
def warn_of_missing_protection(not_forbidden: tuple[str, ...]) -> None:
    """Say once what this system cannot keep a decoder process from."""
    if not_forbidden:
        logger.warning(
            "this system cannot forbid the decoder process %s: preprocess videos of strangers elsewhere",
            " and ".join(not_forbidden),
        )
