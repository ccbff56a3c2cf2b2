"""Decoding of the wanted frames of a video without the rest."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from preprocessing.decoding.segments import TIME_TOLERANCE_SECONDS, frames_on_screen
from preprocessing.decoding.timeline import AnyPacket, Packets, Timeline, shown_at

SKIPPING_DECODERS = {"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video", "vp8", "vp9"}
"""Those that are asked before each packet whether to skip it; libdav1d is asked once, for the whole video."""

Convert = Callable[[VideoFrame], NDArray[np.uint8]]
"""Makes of a decoded frame what is kept of it, such as `PictureMaker`."""


@dataclass(frozen=True)
class Frame:
    """The picture of a frame, first shown at `seconds` on the video clock."""

    picture: NDArray[np.uint8]
    seconds: float


@dataclass(frozen=True)
class DecodedFrames:
    """The frame on screen at each wanted time, and what went wrong on the way."""

    frames: tuple[Frame, ...]
    """One per wanted time; empty if no frame of the video decodes."""
    errors: int
    """Packets that the decoder refused, and wanted frames that it calls corrupt."""
    missing: int
    """Wanted times whose frame did not decode: the one before it stays on screen."""


def decode_frames(
    video: VideoStream,
    packets: Packets,
    timeline: Timeline,
    times: NDArray[np.float64],
    convert: Convert,
) -> DecodedFrames:
    """The frame on screen at each time.

    First only what these frames need is decoded, which gives the same pixels. A stream in which one of them is not
    found that way (lost or damaged packets, hidden reference frames) is then decoded whole.
    """
    wanted = [int(pts) for pts in timeline.shown_pts[frames_on_screen(timeline.shown_seconds, times)]]
    found, errors = decode_only(video, packets, set(wanted), convert)
    if len(found) < len(set(wanted)):
        frames, errors = decode_all(video, packets.in_order, timeline, times, convert)
    else:
        frames = [Frame(found[pts], pts * timeline.time_base - timeline.zero_seconds) for pts in wanted]
    promised = [pts * timeline.time_base - timeline.zero_seconds for pts in wanted]
    missing = sum(
        abs(frame.seconds - seconds) > TIME_TOLERANCE_SECONDS for frame, seconds in zip(frames, promised, strict=False)
    )
    return DecodedFrames(tuple(frames), errors, missing)


def decode_only(
    video: VideoStream, packets: Packets, wanted: set[int], convert: Convert
) -> tuple[dict[int, NDArray[np.uint8]], int]:
    """The frames with these presentation times, decoding as little else as they allow, and the number of errors.

    Groups of pictures are entered at their keyframe and left after their last wanted frame, and inside them frames that
    no other frame refers to are skipped. A wanted time may stay missing.
    """
    found: dict[int, NDArray[np.uint8]] = {}
    errors = 0
    context = video.codec_context
    can_skip = context.codec.name in SKIPPING_DECODERS
    for span in needed_spans(packets, wanted):
        # Whatever the decoder remembers of another group would be taken for lost frames of this one.
        context.flush_buffers()
        for packet in [*packets.in_order[span.start : span.stop], None]:
            skips = can_skip and packet is not None and shown_at(packet) not in wanted
            context.skip_frame = "NONREF" if skips else "DEFAULT"
            try:
                for frame in context.decode(packet):
                    if frame.pts in wanted and frame.pts not in found:
                        found[frame.pts] = convert(frame)
                        errors += frame.is_corrupt
            except av.FFmpegError as error:
                errors += count_error(error)
    context.skip_frame = "DEFAULT"
    return found, errors


def needed_spans(packets: Packets, wanted: set[int]) -> list[range]:
    """Positions of the packets that the wanted frames can depend on, in file order; each span starts at a keyframe.

    A frame depends on nothing before the last keyframe that is stored no later and shown no later than itself: a
    picture stored after a keyframe but shown before it may still refer to the group before.
    """
    spans: list[range] = []
    keyframes = packets.keyframes
    for index in packets.positions_shown_at(wanted):
        time = packets.in_order[index].pts
        stored_before = bisect_right(keyframes, index, key=itemgetter(0))
        earlier = (keyframes[number] for number in range(stored_before - 1, -1, -1))
        first = next((position for position, shown in earlier if time is not None and shown <= time), 0)
        while spans and first < spans[-1].stop:
            first = min(first, spans.pop().start)
        spans.append(range(first, index + 1))
    return spans


def decode_all(
    video: VideoStream,
    packets: Sequence[AnyPacket],
    timeline: Timeline,
    times: NDArray[np.float64],
    convert: Convert,
) -> tuple[list[Frame], int]:
    """The frame on screen at each time by decoding every packet, and the number of errors: right for every stream.

    Where a frame is lost, the one before it stays on screen.
    """
    frames: list[Frame] = []
    errors = 0
    before: VideoFrame | None = None
    video.codec_context.flush_buffers()

    def show(frame: VideoFrame, until: float) -> int:
        """Keep a frame for all wanted times at which it is on screen."""
        shown = [time for time in times[len(frames) :] if time + TIME_TOLERANCE_SECONDS < until]
        if shown:
            frames.extend([Frame(convert(frame), seconds_of(frame, timeline))] * len(shown))
        return int(bool(shown) and frame.is_corrupt)

    for packet in [*packets, None]:
        try:
            decoded = video.codec_context.decode(packet)
        except av.FFmpegError as error:
            errors += count_error(error)
            continue
        for frame in decoded:
            if frame.pts is None:
                continue
            if before is not None:
                errors += show(before, until=seconds_of(frame, timeline))
            before = frame
    if before is not None:
        errors += show(before, until=np.inf)
    return frames, errors


def seconds_of(frame: VideoFrame, timeline: Timeline) -> float:
    """Time at which a frame is first shown, on the video clock."""
    assert frame.pts is not None, "frames without a time are not shown"
    return frame.pts * timeline.time_base - timeline.zero_seconds


def count_error(error: av.FFmpegError) -> int:
    """One, for a packet that the decoder refused; what is no fault of the packet is raised again."""
    if isinstance(error, MemoryError):
        raise error
    return 1
