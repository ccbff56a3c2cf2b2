"""Clips as playable files and back: H.264 and RGB, FLAC and AAC, in memory."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from jaxtyping import Float, Int16, UInt8

from preprocessing.errors import ResourceError, SettingsError
from preprocessing.schema import ClipFormat

Frames = UInt8[np.ndarray, "frames height width 3"]
"""RGB."""
OtherFrames = UInt8[np.ndarray, "frames other_height other_width 3"]
"""The same frames in another size."""
Samples = Float[np.ndarray, " samples"]
"""A mono waveform in [-1, 1]."""

CODECS = ("libx264rgb", "libx264", "flac", "aac")
"""The encoders that are needed."""
FULL_SCALE = 32768


@dataclass(frozen=True)
class Coding:
    """One way to store a movie in MP4."""

    video_codec: str
    pixel_format: str
    video_options: tuple[tuple[str, str], ...]
    audio_codec: str
    audio_bits_per_second: int | None = None
    """Unset = what the codec needs."""


LOSSLESS = Coding("libx264rgb", "rgb24", (("qp", "0"),), "flac")
"""H.264 of RGB without loss (profile High 4:4:4 Predictive), and FLAC of 16 bit."""


def platform_coding(*, crf: int, aac_kbps: int) -> Coding:
    """The usual coding of video platforms: H.264 with a quarter of the colour samples, and AAC."""
    return Coding("libx264", "yuv420p", (("crf", str(crf)),), "aac", 1000 * aac_kbps)


def require_codecs(sample_rate_hz: int) -> None:
    """Refuse to begin where a codec is missing, or cannot take the clips' sample rate.

    Raises:
        ResourceError: naming the codecs that this build of FFmpeg's libraries lacks.
        SettingsError: if AAC knows no such rate.
    """
    missing = [name for name in CODECS if not _is_there(name)]
    if missing:
        raise ResourceError(
            f"this build of PyAV cannot encode with {', '.join(missing)}: install one that can (the wheels on PyPI do)"
        )
    rates = av.codec.Codec("aac", "w").audio_rates or []
    if sample_rate_hz not in rates:
        raise SettingsError(
            f"clips have {sample_rate_hz:,} Hz, and AAC allows {', '.join(map(str, sorted(rates)))} Hz: "
            "preprocess with one of these as format.sample_rate_hz"
        )


def _is_there(codec: str) -> bool:
    try:
        av.codec.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def encode_movie(frames: Frames | None, samples: Samples | None, coding: Coding, clip_format: ClipFormat) -> bytes:
    """An MP4 of the frames, each on screen for its segment, and of the sound; either may be left out.

    The same clip gives the same bytes. Sides that H.264 cannot halve for its colours are longer by a pixel.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        video = None if frames is None else _video_stream(container, frames, coding, clip_format)
        audio = None if samples is None else _audio_stream(container, coding, clip_format)
        if frames is not None and video is not None:
            _encode_frames(container, video, frames, clip_format)
        if samples is not None and audio is not None:
            _encode_samples(container, audio, samples)
    return file.getvalue()


def encode_flac(samples: Samples, sample_rate_hz: int) -> bytes:
    """A FLAC file of 16 bit."""
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        _encode_samples(
            container, container.add_stream("flac", rate=sample_rate_hz, layout="mono", format="s16"), samples
        )
    return file.getvalue()


def decode_frames(movie: bytes, height: int, width: int) -> Frames:
    """The frames of a movie, without the pixel by which a side may be longer."""
    with av.open(io.BytesIO(movie), "r") as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(pictures)[:, :height, :width]


def decode_samples(movie: bytes, num_samples: int) -> Samples:
    """The sound of a movie from its beginning on: silent where it ends too early, and cut off at full scale."""
    found = np.zeros(num_samples, np.float32)
    with av.open(io.BytesIO(movie), "r") as container:
        for block in container.decode(audio=0):
            values = block.to_ndarray()[0]
            values = values / np.float32(FULL_SCALE) if values.dtype == np.int16 else values
            start = 0 if block.time is None else round(block.time * block.sample_rate)
            skipped, end = max(-start, 0), min(start + len(values), num_samples)
            if end > max(start, 0):
                found[max(start, 0) : end] = values[skipped : end - start]
    return found.clip(-1.0, 1.0)


def as_16_bit(samples: Samples) -> Int16[np.ndarray, " samples"]:
    """The nearest values of 16 bit."""
    return (samples.astype(np.float64) * FULL_SCALE).round().clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def enlarged(frames: Frames, factor: int) -> OtherFrames:
    """Every pixel as a square of `factor` pixels on a side."""
    return frames.repeat(factor, axis=1).repeat(factor, axis=2)


def reduced(frames: Frames, factor: int) -> OtherFrames:
    """The opposite of `enlarged`: the mean of each square."""
    num_frames, height, width, _ = frames.shape
    squares = frames.reshape(num_frames, height // factor, factor, width // factor, factor, 3)
    return np.asarray(squares.mean((2, 4), dtype=np.float64).round(), np.uint8)


def _video_stream(container: OutputContainer, frames: Frames, coding: Coding, clip_format: ClipFormat) -> VideoStream:
    rate = 1 / Fraction(clip_format.segment_seconds).limit_denominator(10_000)
    stream = container.add_stream(coding.video_codec, rate=rate, options=dict(coding.video_options))
    assert isinstance(stream, VideoStream)
    stream.height, stream.width = (side + side % 2 for side in frames.shape[1:3])
    stream.pix_fmt = coding.pixel_format
    stream.codec_context.thread_count = 1  # with several, the bytes depend on their number
    return stream


def _audio_stream(container: OutputContainer, coding: Coding, clip_format: ClipFormat) -> AudioStream:
    stream = container.add_stream(coding.audio_codec, rate=clip_format.sample_rate_hz, layout="mono")
    assert isinstance(stream, AudioStream)
    if coding.audio_codec == "flac":
        stream.format = "s16"
    if coding.audio_bits_per_second is not None:
        stream.bit_rate = coding.audio_bits_per_second
    return stream


def _encode_frames(container: OutputContainer, stream: VideoStream, frames: Frames, clip_format: ClipFormat) -> None:
    height, width = frames.shape[1:3]
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    for number, picture in enumerate(even):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(clip_format.segment_seconds).limit_denominator(10_000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _encode_samples(container: OutputContainer, stream: AudioStream, samples: Samples) -> None:
    name = "s16" if stream.codec.name == "flac" else "fltp"
    values = as_16_bit(samples) if name == "s16" else samples.astype(np.float32)
    block = av.AudioFrame.from_ndarray(values[np.newaxis], format=name, layout="mono")
    block.sample_rate, block.pts, block.time_base = stream.rate, 0, Fraction(1, stream.rate)
    container.mux(stream.encode(block))
    container.mux(stream.encode(None))
