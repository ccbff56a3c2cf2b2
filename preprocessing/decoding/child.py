"""The decoder process, seen from inside: `python -m preprocessing.decoding.child ARGUMENTS`; `parent.py` starts it.

Gets each video as an open file beside its request and answers on the same socket; it can open nothing else
(`sandbox.py`). Imports av, numpy and simplejpeg only, so that it starts fast.
"""

from __future__ import annotations

import faulthandler
import hashlib
import io
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any, cast

import av
import av.subtitles.codeccontext  # loaded by libav's wrapper when it meets subtitles, which would be too late
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.clip import Clip, decode_file
from preprocessing.decoding.long_video import LongVideo
from preprocessing.decoding.protocol import ProcessLimits, message, receive, receive_with_file
from preprocessing.decoding.sandbox import confine

# Quicker than libav's own choice (level 5, blocks of 1152 samples at 16 kHz), and fewer bytes.
FLAC_OPTIONS = {"compression_level": "3", "frame_size": "4096"}
ALLOCATION_MIB = 2048
"""The most that libav asks for at once (`av_malloc` refuses more than INT_MAX bytes). So much more address space than
allowed can be had: a decoder goes beyond the limit, which the supervisor sees, before an allocation fails, which the
decoder may take for bad data."""
LOG_BYTES = 1 << 20
"""Most that may be written to the error output."""


def main(arguments: str) -> None:
    """Answer requests until the supervisor closes the socket, which is this process's standard input."""
    parsed = json.loads(arguments)
    options, limits = DecodeOptions(**parsed["options"]), ProcessLimits(**parsed["limits"])
    av.logging.set_level(av.logging.PANIC)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the supervisor, which ends this process
    load_encoders(options)
    with socket.socket(fileno=0) as channel:
        not_forbidden = confine(address_space_mib=limits.memory_mib + ALLOCATION_MIB, log_bytes=LOG_BYTES)
        channel.sendall(message({"ready": True, "not_forbidden": not_forbidden}))
        with suppress(EOFError):
            while True:
                request, descriptor = receive_with_file(channel)
                with os.fdopen(descriptor, "rb", buffering=0) as file:
                    if request["is_kept"]:
                        serve_clips(channel, file, request, options, limits)
                    else:
                        channel.sendall(in_time(limits, partial(serve, file, request, options)))


def in_time(limits: ProcessLimits, work: Callable[[], bytes]) -> bytes:
    """The answer that `work` makes. Should the supervisor be gone when it hangs, an alarm ends this process."""
    signal.alarm(int(limits.clip_seconds) + 5)
    try:
        return work()
    finally:
        signal.alarm(0)


def load_encoders(options: DecodeOptions) -> None:
    """Use all that is imported or loaded at first use: later nothing can be."""
    encode_jpeg(np.zeros((16, 16, 3), np.uint8), options.jpeg_quality)
    encode_flac(np.zeros(1600, np.int16), options.sample_rate_hz)
    hashlib.sha256()


def serve(file: io.FileIO, request: dict[str, Any], options: DecodeOptions) -> bytes:
    """Decode the clip that is asked for: a message with it, or with the reason why there is none."""

    def encoded() -> bytes:
        clip = decode_file(file, options, suffix=request["suffix"], start_seconds=request["start_seconds"])
        file.seek(0)
        return encode(clip, hashlib.file_digest(file, "sha256").hexdigest(), options)

    return or_reason(encoded)


def serve_clips(
    channel: socket.socket, file: io.FileIO, request: dict[str, Any], options: DecodeOptions, limits: ProcessLimits
) -> None:
    """Answer with the length of a video, then with a clip of it for each start that is asked for, until it is None.

    A video of which there are no clips is answered with the reason alone.
    """
    opened: list[LongVideo] = []

    def length() -> bytes:
        opened.append(LongVideo(file, options, suffix=request["suffix"]))
        return message(opened[0].lengths)

    channel.sendall(in_time(limits, lambda: or_reason(length)))
    for video in opened:
        for start in starts(channel):
            channel.sendall(in_time(limits, partial(or_reason, partial(clip_from, video, start, options))))


def clip_from(video: LongVideo, start_seconds: float, options: DecodeOptions) -> bytes:
    """A message with the clip of a video that begins at `start_seconds`."""
    return encode(video.clip(start_seconds), video.source_sha256, options)


def starts(channel: socket.socket) -> Iterator[float]:
    """The starts that are asked for, until there are no more."""

    def read(num_bytes: int) -> bytes:
        data = channel.recv(num_bytes, socket.MSG_WAITALL)
        if len(data) < num_bytes:
            raise EOFError
        return data

    while (start := receive(read)[0]["start_seconds"]) is not None:
        yield start


def or_reason(answer: Callable[[], bytes]) -> bytes:
    """The message that `answer` makes, or one with the reason why it makes none."""
    try:
        return answer()
    except DecodeError as error:
        return message({"reason": error.reason, "detail": error.detail[:1000]})


def encode(clip: Clip, source_sha256: str, options: DecodeOptions) -> bytes:
    """A message with a clip, its frames and sound encoded."""
    jpegs = [encode_jpeg(frame, options.jpeg_quality) for frame in clip.frames]
    flac = encode_flac(clip.samples, options.sample_rate_hz)
    return message(describe(clip, source_sha256), [*jpegs, flac, clip.samples.astype("<i2").tobytes()])


def describe(clip: Clip, source_sha256: str) -> dict[str, Any]:
    """The header of an answer with a clip."""
    return {
        "frame_seconds": clip.frame_seconds,
        "start_seconds": clip.start_seconds,
        "end_seconds": clip.end_seconds,
        "video_coverage": clip.video_coverage,
        "audio_coverage": clip.audio_coverage,
        "missing_frames": clip.missing_frames,
        "decode_errors": clip.decode_errors,
        "tracks": asdict(clip.tracks) if clip.tracks.are_several else None,
        "source_sha256": source_sha256,
    }


def encode_jpeg(rgb: NDArray[np.uint8], quality: int) -> bytes:
    """A frame `[height, width, 3]` as JPEG with halved chroma."""
    return cast(bytes, simplejpeg.encode_jpeg(rgb, quality=quality, colorspace="RGB", colorsubsampling="420"))


def encode_flac(samples: NDArray[np.int16], sample_rate_hz: int) -> bytes:
    """A mono waveform `[num_samples]` as FLAC, the same bytes every time."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("flac", rate=sample_rate_hz, layout="mono", format="s16", options=FLAC_OPTIONS)
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis, :], format="s16", layout="mono")
        frame.sample_rate = sample_rate_hz
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return buffer.getvalue()


if __name__ == "__main__":
    main(sys.argv[1])
