"""One video file -> the frames and the waveform of its clip, aligned by presentation time.

Imports av, numpy and Pillow only: it runs in the decoder process (`supervision.py`), which starts often and dies alone.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, NoReturn

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

from preprocessing.frames import AnyPacket, Timeline, decode_frames, read_timeline
from preprocessing.segments import Grid, place_on_grid, to_int16
from preprocessing.sound import decode_sound

# A file may end this early (a cut last packet) and still count as whole.
MIN_PRESENT_SHARE = 0.95


class DecodeError(Exception):
    """A clip that cannot be stored: `reason` is one word, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class DecodeOptions:
    """What the decoder process must know; `PreprocessConfig` documents each value."""

    num_segments: int
    segment_seconds: float
    sample_rate_hz: int
    frame_size: int
    jpeg_quality: int
    missing_end_segments: float
    min_audio_coverage: float
    max_decode_errors: int
    max_side_pixels: int
    max_frames_per_second: float
    max_source_seconds: float


@dataclass(frozen=True)
class Clip:
    """A decoded clip."""

    frames: tuple[NDArray[np.uint8], ...]
    """One RGB frame `[frame_size, frame_size, 3]` per segment."""
    frame_seconds: tuple[float, ...]
    """When each frame was first shown, on the video clock."""
    start_seconds: float
    end_seconds: float
    samples: NDArray[np.int16]
    """Mono waveform `[num_samples]`."""
    audio_coverage: float
    decode_errors: int


def decode(path: Path, options: DecodeOptions, *, root: Path, start_seconds: float | None) -> Clip:
    """Decode the clip of a video: from `start_seconds` on the video clock, or its middle if that is None.

    Raises:
        DecodeError: if the file is not a video inside `root` that fills the clip within the limits of `options`.
    """
    with open_video(path, root=root) as file:
        return decode_file(file, options, suffix=path.suffix.lower(), start_seconds=start_seconds)


def decode_file(file: FileIO, options: DecodeOptions, *, suffix: str, start_seconds: float | None) -> Clip:
    """Decode the clip of an open video, reading nothing but this file; `suffix` is that of its name, such as `.mp4`."""
    try:
        with open_container(file, suffix) as container:
            return decode_container(container, options, start_seconds)
    except MemoryError as error:
        raise DecodeError("memory", "decoding it needs more memory than is allowed") from error
    except av.FFmpegError as error:  # beyond those of packets, which are counted: such as sound that nothing converts
        raise DecodeError("decode_errors", error.strerror or str(error)) from error
    except OSError as error:
        raise DecodeError("unreadable", error.strerror or str(error)) from error


def open_container(file: FileIO, suffix: str) -> InputContainer:
    """A file as libav sees it, which may not open another."""
    demuxer = container_format(file, suffix)
    try:
        return av.open(file, "r", format=demuxer, metadata_errors="replace", io_open=refuse_to_open)
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise DecodeError("open_failed", error.strerror or str(error)) from error


def refuse_to_open(url: str, flags: int, options: dict[str, Any]) -> NoReturn:
    """Stands where libav would open another file or address that this one names."""
    raise PermissionError(errno.EACCES, "a video may not refer to another file", url)


def decode_container(container: InputContainer, options: DecodeOptions, start_seconds: float | None) -> Clip:
    """Decode the clip of an open file."""
    video, audio = choose_streams(container, options)
    video_packets, audio_packets, read_errors = read_packets(container, video, audio)
    timeline = read_timeline(video, video_packets)
    check_timeline(timeline, options)
    check_nothing_is_missing(video, timeline)
    grid = place_clip(timeline, options, start_seconds)

    frames, video_errors = decode_frames(video, video_packets, timeline, grid.middles, options.frame_size)
    sounds, audio_errors = decode_sound(audio, audio_packets, timeline.zero_seconds, grid)
    waveform, coverage = place_on_grid(sounds, grid)

    errors = read_errors + video_errors + audio_errors
    if errors > options.max_decode_errors:
        raise DecodeError("decode_errors", f"{errors} packets failed, {options.max_decode_errors} allowed")
    if not frames:
        raise DecodeError("no_frames", "no video packet could be decoded")
    if coverage < options.min_audio_coverage:
        raise DecodeError("audio_coverage", f"sound covers {coverage:.3f} of it, {options.min_audio_coverage:g} needed")
    if not np.isfinite(waveform).all():
        raise DecodeError("nonfinite_audio", "the sound has NaN or infinite samples")
    return Clip(
        frames=tuple(frame.rgb for frame in frames),
        frame_seconds=tuple(round(frame.seconds, 6) for frame in frames),
        start_seconds=round(grid.start_seconds, 6),
        end_seconds=round(grid.end_seconds, 6),
        samples=to_int16(waveform),
        audio_coverage=round(coverage, 6),
        decode_errors=errors,
    )


def open_video(path: Path, *, root: Path) -> FileIO:
    """Open a video, which must be a regular file that lies inside `root` also once its links are followed.

    What is opened is what was checked, even if somebody puts a link or a pipe in its place meanwhile.

    Raises:
        DecodeError: `missing_file`, `outside_root`, `not_regular` or `unreadable`.
    """
    try:
        inside, real_root = path.resolve(strict=True), root.resolve()
        if not inside.is_relative_to(real_root):
            raise DecodeError("outside_root", f"'{path}' links to '{inside}', outside '{root}'")
        descriptor = open_without_links(real_root, inside.relative_to(real_root))
    except FileNotFoundError as error:
        raise DecodeError("missing_file", f"'{path}' does not exist") from error
    except (OSError, RuntimeError) as error:  # a link to itself, a name too long, no permission
        raise DecodeError("unreadable", str(error)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DecodeError("not_regular", f"'{path}' is not a regular file")
    return os.fdopen(descriptor, "rb", buffering=0)


def open_without_links(root: Path, relative: Path) -> int:
    """A descriptor of what lies at `relative` below `root`; OSError if any part of `relative` is a link."""
    with ExitStack() as folders:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        folders.callback(os.close, folder)
        for name in relative.parts[:-1]:
            folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            folders.callback(os.close, folder)
        # O_NONBLOCK: opening a pipe would wait for its writer.
        return os.open(relative.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)


def container_format(file: FileIO, suffix: str) -> str:
    """The demuxer for a file, by its first bytes: never guessed, so that a playlist cannot pose as a video."""
    file.seek(0)
    head = file.read(12)
    file.seek(0)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"):
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    # Only under its own name: AVI stores no presentation times, so nobody should meet one by accident.
    if head[:4] == b"RIFF" and head[8:12] == b"AVI " and suffix == ".avi":
        return "avi"
    raise DecodeError("not_media", f"starts with {head[:8]!r}: no MP4, MOV, Matroska, WebM or .avi file")


def choose_streams(container: InputContainer, options: DecodeOptions) -> tuple[VideoStream, AudioStream]:
    """The first stream of moving pictures (cover art is none) and the first stream of sound."""
    videos = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not videos:
        raise DecodeError("no_video", "the file has no video stream")
    if not container.streams.audio:
        raise DecodeError("no_audio", "the file has no audio stream")
    for stream in (videos[0], container.streams.audio[0]):
        if stream.codec_context is None:
            raise DecodeError("no_decoder", f"nothing here decodes its {stream.type} stream")
    video, audio = videos[0], container.streams.audio[0]
    if max(video.width, video.height) > options.max_side_pixels:
        raise DecodeError("too_large", f"{video.width}x{video.height} pixels, {options.max_side_pixels} a side allowed")
    # One thread: the next clip is decoded by the next process.
    for stream in (video, audio):
        stream.codec_context.thread_type = "NONE"
        stream.codec_context.thread_count = 1  # libraries such as dav1d look at this alone
    return video, audio


def read_packets(
    container: InputContainer, video: VideoStream, audio: AudioStream
) -> tuple[list[AnyPacket], list[AnyPacket], int]:
    """All packets of both streams in file order, and how many errors reading met; what came before one is kept."""
    packets: dict[int, list[AnyPacket]] = {video.index: [], audio.index: []}
    try:
        for packet in container.demux(video, audio):
            if packet.size:
                packets[packet.stream_index].append(packet)
    except av.FFmpegError:
        return packets[video.index], packets[audio.index], 1
    return packets[video.index], packets[audio.index], 0


def check_timeline(timeline: Timeline, options: DecodeOptions) -> None:
    """Refuse files whose times no real clip has: still pictures, days, thousands of frames a second."""
    num_frames, seconds = len(timeline.shown_pts), timeline.duration_seconds
    if num_frames == 0:
        raise DecodeError("no_frames", "the video stream has no shown frame")
    if num_frames == 1:
        raise DecodeError("one_frame", "the video stream shows a single picture")
    if seconds > options.max_source_seconds:
        raise DecodeError("too_long", f"{seconds:.1f} s, {options.max_source_seconds:g} s allowed")
    if num_frames / seconds > options.max_frames_per_second:
        raise DecodeError(
            "frame_rate", f"{num_frames / seconds:.0f} frames a second, {options.max_frames_per_second:g} allowed"
        )


def check_nothing_is_missing(video: VideoStream, timeline: Timeline) -> None:
    """Refuse a file that breaks off: its header promises more than could be read."""
    promised = float(video.duration * video.time_base) if video.duration and video.time_base else 0.0
    if timeline.duration_seconds < MIN_PRESENT_SHARE * promised:
        raise DecodeError("truncated", f"{timeline.duration_seconds:.2f} of {promised:.2f} s could be read")


def place_clip(timeline: Timeline, options: DecodeOptions, start_seconds: float | None) -> Grid:
    """Lay the segments over the video: at `start_seconds`, or in its middle."""
    clip_seconds = options.num_segments * options.segment_seconds
    start = max((timeline.duration_seconds - clip_seconds) / 2, 0.0) if start_seconds is None else start_seconds
    missing = start + clip_seconds - timeline.duration_seconds
    if missing > options.missing_end_segments * options.segment_seconds:
        raise DecodeError(
            "too_short",
            f"{timeline.duration_seconds:.3f} s of video; {clip_seconds:g} s from {start:.3f} s on are wanted",
        )
    return Grid(options.num_segments, options.segment_seconds, options.sample_rate_hz, start)
