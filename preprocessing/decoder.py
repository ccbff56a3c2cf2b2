"""The decoder process, seen from inside: `python -m preprocessing.decoder ARGUMENTS`, started by `DecoderProcess`.

Reads requests from its input and answers on its output. Imports av, numpy and Pillow only, so that it starts fast.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preprocessing.decoding import Clip, DecodeError, DecodeOptions, decode
from preprocessing.supervision import ProcessLimits, message, receive

MIB = 1 << 20


def main(arguments: str) -> None:
    """Answer requests until the input ends."""
    parsed = json.loads(arguments)
    options, limits = DecodeOptions(**parsed["options"]), ProcessLimits(**parsed["limits"])
    av.logging.set_level(av.logging.PANIC)
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_mib * MIB, limits.memory_mib * MIB))
    # Answers go to a private copy of the output, so that no library's print can get between them.
    with os.fdopen(os.dup(1), "wb") as output, os.fdopen(os.dup(0), "rb") as requests:
        os.dup2(2, 1)
        send(output, message({"ready": True}))
        while True:
            try:
                request, _ = receive(lambda num_bytes: read_exactly(requests, num_bytes))
            except EOFError:
                return
            # Should the supervisor be gone when a clip hangs, the alarm ends this process.
            signal.alarm(int(limits.clip_seconds) + 5)
            answer = serve(request, options)
            signal.alarm(0)
            send(output, answer)


def serve(request: dict[str, Any], options: DecodeOptions) -> bytes:
    """Decode what a request names: a message with the clip, or with the reason why there is none."""
    path, root = Path(request["path"]), Path(request["root"])
    try:
        clip = decode(path, options, root=root, start_seconds=request["start_seconds"])
        with path.open("rb") as stream:
            source_sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        jpegs = [encode_jpeg(frame, options.jpeg_quality) for frame in clip.frames]
        flac = encode_flac(clip.samples, options.sample_rate_hz)
    except DecodeError as error:
        return message({"reason": error.reason, "detail": error.detail})
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
        "source_sha256": source_sha256,
    }


def encode_jpeg(rgb: NDArray[np.uint8], quality: int) -> bytes:
    """A frame `[height, width, 3]` as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def encode_flac(samples: NDArray[np.int16], sample_rate_hz: int) -> bytes:
    """A mono waveform `[num_samples]` as FLAC, the same bytes every time."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("flac", rate=sample_rate_hz, layout="mono", format="s16")
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis, :], format="s16", layout="mono")
        frame.sample_rate = sample_rate_hz
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return buffer.getvalue()


def read_exactly(stream: BinaryIO, num_bytes: int) -> bytes:
    """Exactly `num_bytes`, or EOFError."""
    data = stream.read(num_bytes)
    if len(data) < num_bytes:
        raise EOFError
    return data


def send(stream: BinaryIO, data: bytes) -> None:
    """Write a message and push it out."""
    stream.write(data)
    stream.flush()


if __name__ == "__main__":
    main(sys.argv[1])
