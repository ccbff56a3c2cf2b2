"""One video file -> the frames and the waveform of its clip, aligned by presentation time.

Imports av and numpy only: it runs in the decoder process (`child.py`), which starts often and dies alone.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

from preprocessing.decoding.acceptance import (
    DecodeError,
    DecodeOptions,
    check_claimed_size,
    check_damage,
    check_nothing_is_missing,
    check_packets,
    check_same_clock,
    check_size,
    check_sound,
    check_timeline,
    place_clip,
)
from preprocessing.decoding.frames import decode_frames
from preprocessing.decoding.opening import open_video
from preprocessing.decoding.scaling import PictureMaker
from preprocessing.decoding.segments import place_on_grid, to_int16
from preprocessing.decoding.sound import decode_sound
from preprocessing.decoding.timeline import Packets, Timeline, promised_seconds, read_packets, read_timeline

__all__ = ["Clip", "decode"]

MPEG_TS_PACKET_BYTES = 188

Result = TypeVar("Result")


@dataclass(frozen=True)
class Tracks:
    """Numbers of the tracks that were chosen, counted from 0 by kind, and how many of that kind there are."""

    video: int
    num_video: int
    audio: int
    num_audio: int

    @property
    def are_several(self) -> bool:
        """True if another track could have been chosen."""
        return self.num_video > 1 or self.num_audio > 1


@dataclass(frozen=True)
class ChosenTracks:
    """The tracks that are decoded."""

    video: VideoStream
    audio: AudioStream
    tracks: Tracks
    """Which of the file's they are."""


@dataclass(frozen=True)
class Clip:
    """A decoded clip."""

    frames: tuple[NDArray[np.uint8], ...]
    """One RGB frame `[frame_size, frame_size, 3]` per segment."""
    frame_seconds: tuple[float, ...]
    """Time at which each frame was first shown, on the video clock."""
    start_seconds: float
    end_seconds: float
    samples: NDArray[np.int16]
    """Mono waveform `[num_samples]`."""
    video_coverage: float
    """Share of the clip during which a frame of the video is on screen; after it the last one stays."""
    audio_coverage: float
    """Share of the clip that sound covers; the rest is silence."""
    missing_frames: int
    """Wanted frames that did not decode: the one before is stored in their place."""
    decode_errors: int
    """Packets that did not decode."""
    tracks: Tracks
    """The streams that were decoded, among how many."""


def decode(path: Path, options: DecodeOptions, *, root: Path, start_seconds: float | None) -> Clip:
    """Decode the clip of a video: from `start_seconds` on the video clock, or its middle if that is None.

    Raises:
        DecodeError: if the file is not a video inside `root` that fills the clip within the limits of `options`.
    """
    with open_video(path, root=root) as file:
        return decode_file(file, options, suffix=path.suffix.lower(), start_seconds=start_seconds)


def decode_file(file: FileIO, options: DecodeOptions, *, suffix: str, start_seconds: float | None) -> Clip:
    """Decode the clip of an open video, reading nothing but this file; `suffix` is that of its name, such as `.mp4`."""
    return read_file(
        file,
        options,
        suffix=suffix,
        read=lambda container, claimed: decode_container(container, options, start_seconds, claimed=claimed),
    )


def read_file(
    file: FileIO, options: DecodeOptions, *, suffix: str, read: Callable[[InputContainer, tuple[int, int]], Result]
) -> Result:
    """The result of `read` for an opened file and the size that its header claims; libav's errors as reasons."""
    try:
        demuxer = container_format(file, suffix)
        claimed = claimed_size(file, demuxer)
        check_claimed_size(*claimed, options)
        with open_container(file, demuxer, {"max_pixels": str(options.max_side_pixels**2)}) as container:
            return read(container, claimed)
    except MemoryError as error:
        raise DecodeError("memory", "decoding it needs more memory than is allowed") from error
    except av.FFmpegError as error:  # beyond those of packets, which are counted: such as sound that nothing converts
        raise DecodeError("decode_errors", error.strerror or str(error)) from error
    except OSError as error:
        raise DecodeError("unreadable", error.strerror or str(error)) from error


def open_container(file: FileIO, demuxer: str, options: dict[str, str]) -> InputContainer:
    """A file as libav sees it from its beginning; it may not open another."""
    file.seek(0)
    try:
        return av.open(file, "r", format=demuxer, options=options, metadata_errors="replace", io_open=refuse_to_open)
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise DecodeError("open_failed", error.strerror or str(error)) from error


def refuse_to_open(url: str, flags: int, options: dict[str, Any]) -> NoReturn:
    """Stands where libav would open another file or address that this one names."""
    raise PermissionError(errno.EACCES, "a video may not refer to another file", url)


@dataclass(frozen=True)
class Streams:
    """The packets of the two streams that a clip is made of; nothing of them is decoded yet."""

    video: Packets
    audio: Packets
    read_errors: int
    """Errors that reading met."""
    timeline: Timeline
    sound_seconds: float
    """End of the last packet of sound on the video clock; 0 if none has a time."""


def read_streams(container: InputContainer, chosen: ChosenTracks, options: DecodeOptions) -> Streams:
    """Read the packets of the chosen tracks, which must be on one clock."""
    video, audio = chosen.video, chosen.audio
    video_packets, audio_packets, read_errors = read_packets(container, video, audio)
    check_packets(video_packets, kind="video", time_base=seconds_per_unit(video))
    check_packets(audio_packets, kind="audio", time_base=seconds_per_unit(audio))
    timeline = read_timeline(video, video_packets)
    check_timeline(timeline, options)
    check_nothing_is_missing(promised_seconds(video, len(video_packets)), timeline)
    check_same_clock(audio_packets, seconds_per_unit(audio), timeline)
    ends = (packet.pts + (packet.duration or 0) for packet in audio_packets if packet.pts is not None)
    sound_seconds = max(max(ends, default=0) * seconds_per_unit(audio) - timeline.zero_seconds, 0.0)
    return Streams(Packets(video_packets), Packets(audio_packets), read_errors, timeline, sound_seconds)


def decode_container(
    container: InputContainer, options: DecodeOptions, start_seconds: float | None, *, claimed: tuple[int, int]
) -> Clip:
    """Decode the clip of an open file."""
    chosen = prepared_tracks(container, options, claimed=claimed)
    return decode_clip(chosen, read_streams(container, chosen, options), options, start_seconds)


def decode_clip(chosen: ChosenTracks, streams: Streams, options: DecodeOptions, start_seconds: float | None) -> Clip:
    """Decode a clip of tracks whose decoders are fresh: they keep something of all that they have decoded."""
    video, timeline = chosen.video, streams.timeline
    grid, video_coverage = place_clip(timeline, options, start_seconds)

    make_picture = PictureMaker(options.frame_size, pixel_aspect(video))
    decoded = decode_frames(video, streams.video, timeline, grid.middles, make_picture)
    sounds, audio_errors = decode_sound(chosen.audio, streams.audio, timeline.zero_seconds, grid)
    waveform, audio_coverage = place_on_grid(sounds, grid)

    errors = streams.read_errors + decoded.errors + audio_errors
    check_damage(errors=errors, missing_frames=decoded.missing, options=options)
    if not decoded.frames:
        raise DecodeError("no_frames", "no video packet could be decoded")
    check_sound(sounds, audio_coverage, grid, options)
    if not np.isfinite(waveform).all():
        raise DecodeError("nonfinite_audio", "the sound has NaN or infinite samples")
    return Clip(
        frames=tuple(frame.picture for frame in decoded.frames),
        frame_seconds=tuple(round(frame.seconds, 6) for frame in decoded.frames),
        start_seconds=round(grid.start_seconds, 6),
        end_seconds=round(grid.end_seconds, 6),
        samples=to_int16(waveform),
        video_coverage=round(video_coverage, 6),
        audio_coverage=round(audio_coverage, 6),
        missing_frames=decoded.missing,
        decode_errors=errors,
        tracks=chosen.tracks,
    )


def container_format(file: FileIO, suffix: str) -> str:
    """The demuxer for a file, by its first bytes: never guessed, so that a playlist cannot pose as a video."""
    file.seek(0)
    head = file.read(2 * MPEG_TS_PACKET_BYTES + 1)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"):
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if len(head) > 2 * MPEG_TS_PACKET_BYTES and set(head[::MPEG_TS_PACKET_BYTES]) == {0x47}:
        return "mpegts"
    # Only under its own name: AVI stores no presentation times, so nobody should meet one by accident.
    if head[:4] == b"RIFF" and head[8:12] == b"AVI " and suffix == ".avi":
        return "avi"
    raise DecodeError("not_media", f"starts with {head[:8]!r}: no MP4, MOV, Matroska, WebM, MPEG-TS or .avi file")


def claimed_size(file: FileIO, demuxer: str) -> tuple[int, int]:
    """Width and height that the header claims (0: none), found without decoding: no decoder is allowed."""
    header_only = {"codec_whitelist": "none", "probesize": "32", "analyzeduration": "1"}
    with open_container(file, demuxer, header_only) as container:
        videos = moving_pictures(container)
        if not videos or (video := videos[first_default(videos)]).codec_context is None:
            return 0, 0
        return video.width, video.height


def choose_tracks(container: InputContainer) -> ChosenTracks:
    """The moving pictures and the sound that a player takes.

    Raises:
        DecodeError: `no_video` or `no_audio`.
    """
    videos, sounds = moving_pictures(container), container.streams.audio
    if not videos:
        raise DecodeError("no_video", "the file has no video stream")
    if not sounds:
        raise DecodeError("no_audio", "the file has no audio stream")
    video, audio = first_default(videos), first_default(sounds)
    return ChosenTracks(videos[video], sounds[audio], Tracks(video, len(videos), audio, len(sounds)))


def moving_pictures(container: InputContainer) -> list[VideoStream]:
    """The video streams that are not cover art."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def first_default(streams: Sequence[VideoStream] | Sequence[AudioStream]) -> int:
    """Number of the first stream that is flagged as default; 0 if none is."""
    return next((number for number, stream in enumerate(streams) if stream.disposition & Disposition.default), 0)


def prepared_tracks(container: InputContainer, options: DecodeOptions, *, claimed: tuple[int, int]) -> ChosenTracks:
    """The tracks that a player takes, ready to be decoded."""
    chosen = choose_tracks(container)
    video, audio = chosen.video, chosen.audio
    for stream in (video, audio):
        if stream.codec_context is None:
            raise DecodeError("no_decoder", f"nothing here decodes its {stream.type} stream")
        # One thread: the next clip is decoded by the next process.
        stream.codec_context.thread_type = "NONE"
        stream.codec_context.thread_count = 1  # libraries such as dav1d look at this alone
    check_size(video.width, video.height, claimed=claimed, pixel_aspect=pixel_aspect(video), options=options)
    if container.format.name == "avi" and video.codec_context.has_b_frames:
        raise DecodeError("no_timestamps", "AVI stores no presentation times, and its pictures are stored out of order")
    # Whatever the header claims, no picture beyond the limit is ever allocated; and a picture that the decoder knows to
    # be damaged is an error, not concealed with what lies around it.
    video.codec_context.options = {"max_pixels": str(options.max_side_pixels**2), "err_detect": "explode"}
    return chosen


def pixel_aspect(video: VideoStream) -> float:
    """Width of a pixel divided by its height."""
    return float(video.sample_aspect_ratio or 1) or 1.0


def seconds_per_unit(stream: VideoStream | AudioStream) -> float:
    """Seconds per unit of a stream's times."""
    return float(stream.time_base or 0)
