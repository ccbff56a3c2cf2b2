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
from dataclasses import asdict
from typing import Any, cast

import av
import av.subtitles.codeccontext  # loaded by libav's wrapper when it meets subtitles, which would be too late
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.clip import Clip, Streams, decode_file, read_file, read_streams
from preprocessing.decoding.protocol import ProcessLimits, message, receive_with_file
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
        while True:
            try:
                request, descriptor = receive_with_file(channel)
            except EOFError:
                return
            # Should the supervisor be gone when a clip hangs, the alarm ends this process.
            signal.alarm(int(limits.clip_seconds) + 5)
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                answer = serve(file, request, options)
            signal.alarm(0)
            channel.sendall(answer)


def load_encoders(options: DecodeOptions) -> None:
    """Use all that is imported or loaded at first use: later nothing can be."""
    encode_jpeg(np.zeros((16, 16, 3), np.uint8), options.jpeg_quality)
    encode_flac(np.zeros(1600, np.int16), options.sample_rate_hz)
    hashlib.sha256()


def serve(file: io.FileIO, request: dict[str, Any], options: DecodeOptions) -> bytes:
    """Decode or measure what was sent: a message with the clip or the length, or with the reason why there is none."""
    try:
        if request["is_measured"]:
            return message(measure(file, options, suffix=request["suffix"]))
        clip = decode_file(file, options, suffix=request["suffix"], start_seconds=request["start_seconds"])
        file.seek(0)
        source_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        jpegs = [encode_jpeg(frame, options.jpeg_quality) for frame in clip.frames]
        flac = encode_flac(clip.samples, options.sample_rate_hz)
    except DecodeError as error:
        return message({"reason": error.reason, "detail": error.detail[:1000]})
    return message(describe(clip, source_sha256), [*jpegs, flac, clip.samples.astype("<i2").tobytes()])


def measure(file: io.FileIO, options: DecodeOptions, *, suffix: str) -> dict[str, float]:
    """Seconds of picture and sound of a video that `options` allow to be decoded; nothing of it is decoded."""
    return read_file(
        file,
        options,
        suffix=suffix,
        read=lambda container, claimed: lengths(read_streams(container, options, claimed=claimed)),
    )


def lengths(streams: Streams) -> dict[str, float]:
    """The header of an answer with the length of a video, read off its packets."""
    return {"video_seconds": streams.timeline.duration_seconds, "sound_seconds": streams.sound_seconds}


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
