"""Which frames of a video are shown when, and how the wanted ones are decoded without decoding the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from preprocessing.segments import TIME_TOLERANCE_SECONDS, frames_on_screen

if TYPE_CHECKING:
    AnyPacket = Packet[Any]
else:
    AnyPacket = Packet  # generic in its stub only


@dataclass(frozen=True)
class Timeline:
    """When the frames of a video are shown."""

    zero_seconds: float
    """Stream time of the first shown frame: zero on the video clock."""
    time_base: float
    """Seconds per unit of a presentation time."""
    shown_pts: NDArray[np.int64]
    """Presentation times of the shown frames, sorted, in the stream's time base."""
    shown_seconds: NDArray[np.float64]
    """The same on the video clock."""
    duration_seconds: float
    """Until the last frame leaves the screen."""


@dataclass(frozen=True)
class Frame:
    """A frame as it is stored: `rgb` is `[size, size, 3]`, first shown at `seconds` on the video clock."""

    rgb: NDArray[np.uint8]
    seconds: float


def read_timeline(video: VideoStream, packets: Sequence[AnyPacket]) -> Timeline:
    """Read all presentation times off the packets; nothing is decoded.

    Packets that an edit list hides are not shown. A container without presentation times (AVI) is taken in file order.
    """
    shown = sorted((time, packet.duration or 0) for packet in packets if (time := shown_at(packet)) is not None)
    pts = np.array([time for time, _ in shown], dtype=np.int64)
    time_base = float(video.time_base or 0)
    if not shown:
        return Timeline(0.0, time_base, pts, pts.astype(np.float64), 0.0)
    last_duration = shown[-1][1] or (round(float(np.median(np.diff(pts)))) if len(pts) > 1 else 0)
    return Timeline(
        zero_seconds=int(pts[0]) * time_base,
        time_base=time_base,
        shown_pts=pts,
        shown_seconds=(pts - pts[0]) * time_base,
        duration_seconds=(int(pts[-1] - pts[0]) + last_duration) * time_base,
    )


def shown_at(packet: AnyPacket) -> int | None:
    """When the packet's frame is shown, in its stream's time base; None if an edit list hides it."""
    if packet.is_discard:
        return None
    return packet.pts if packet.pts is not None else packet.dts


def decode_frames(
    video: VideoStream, packets: Sequence[AnyPacket], timeline: Timeline, times: NDArray[np.float64], size: int
) -> tuple[list[Frame], int]:
    """The frame on screen at each time, and the number of packets that failed.

    First only what these frames need is decoded, which gives the same pixels. A stream whose packets and frames do not
    correspond one to one (hidden reference frames, lost packets) is then decoded whole. Empty if no frame decodes.
    """
    wanted = [int(pts) for pts in timeline.shown_pts[frames_on_screen(timeline.shown_seconds, times)]]
    found, errors = decode_only(video, packets, set(wanted), size)
    if len(found) < len(set(wanted)):
        video.codec_context.flush_buffers()
        return decode_all(video, packets, timeline, times, size)
    return [Frame(found[pts], pts * timeline.time_base - timeline.zero_seconds) for pts in wanted], errors


def decode_only(
    video: VideoStream, packets: Sequence[AnyPacket], wanted: set[int], size: int
) -> tuple[dict[int, NDArray[np.uint8]], int]:
    """The frames with these presentation times, decoding as little else as they allow.

    Groups of pictures are entered at their keyframe and left after their last wanted frame, and inside them frames that
    no other frame refers to are skipped. A wanted time may stay missing.
    """
    found: dict[int, NDArray[np.uint8]] = {}
    errors = 0
    context = video.codec_context
    pixel_aspect = aspect_of(video)
    for packet in [*(packets[index] for index in needed_packets(packets, wanted)), None]:
        context.skip_frame = "DEFAULT" if packet is None or shown_at(packet) in wanted else "NONREF"
        try:
            for frame in context.decode(packet):
                if frame.pts in wanted and frame.pts not in found:
                    found[frame.pts] = to_square(frame, size, pixel_aspect)
        except av.FFmpegError as error:
            errors += count_error(error)
    context.skip_frame = "DEFAULT"
    return found, errors


def needed_packets(packets: Sequence[AnyPacket], wanted: set[int]) -> list[int]:
    """Positions of the packets that the wanted frames can depend on, in file order.

    A frame depends on nothing before the last keyframe that is stored no later and shown no later than itself: a
    picture stored after a keyframe but shown before it may still refer to the group before.
    """
    needed: set[int] = set()
    keyframes: list[tuple[int, int]] = []
    for index, packet in enumerate(packets):
        time = shown_at(packet)
        if packet.is_keyframe:
            keyframes.append((index, packet.pts if packet.pts is not None else packet.dts or 0))
        if time is not None and time in wanted:
            first = next((position for position, shown in reversed(keyframes) if shown <= time), 0)
            needed.update(range(first, index + 1))
    return sorted(needed)


def seconds_of(frame: VideoFrame, timeline: Timeline) -> float:
    """When a frame is first shown, on the video clock."""
    pts = frame.pts if frame.pts is not None else frame.dts
    return (pts or 0) * timeline.time_base - timeline.zero_seconds


def aspect_of(video: VideoStream) -> float:
    """Width of a pixel divided by its height."""
    return float(video.sample_aspect_ratio or 1) or 1.0


def to_square(frame: VideoFrame, size: int, pixel_aspect: float) -> NDArray[np.uint8]:
    """The upright middle of a frame as RGB `[size, size, 3]`, its short side as displayed scaled to `size`."""
    width, height = frame.width * max(pixel_aspect, 1.0), frame.height / min(pixel_aspect, 1.0)
    scale = size / min(width, height)
    columns, rows = max(round(width * scale), size), max(round(height * scale), size)
    # Its own threads would cost more than the scaling itself.
    scaled = frame.reformat(columns, rows, "rgb24", interpolation=Interpolation.BICUBIC, threads=1)
    rgb = scaled.to_ndarray()
    left, top = (columns - size) // 2, (rows - size) // 2
    upright = np.rot90(rgb[top : top + size, left : left + size], k=round(frame.rotation / 90))
    return cast(NDArray[np.uint8], np.ascontiguousarray(upright))


def count_error(error: av.FFmpegError) -> int:
    """One, for a packet that the decoder refused; what is no fault of the packet is raised again."""
    if isinstance(error, MemoryError):
        raise error
    return 1


def decode_all(
    video: VideoStream, packets: Sequence[AnyPacket], timeline: Timeline, times: NDArray[np.float64], size: int
) -> tuple[list[Frame], int]:
    """The frame on screen at each time by decoding every packet: slower, and right for every stream.

    Where a frame is lost, the one before it stays on screen.
    """
    frames: list[Frame] = []
    errors = 0
    before: VideoFrame | None = None
    pixel_aspect = aspect_of(video)
    for packet in [*packets, None]:
        try:
            decoded = video.codec_context.decode(packet)
        except av.FFmpegError as error:
            errors += count_error(error)
            continue
        for frame in decoded:
            seconds = seconds_of(frame, timeline)
            while (
                before is not None
                and len(frames) < len(times)
                and seconds > times[len(frames)] + TIME_TOLERANCE_SECONDS
            ):
                frames.append(Frame(to_square(before, size, pixel_aspect), seconds_of(before, timeline)))
            before = frame
    while before is not None and len(frames) < len(times):
        frames.append(Frame(to_square(before, size, pixel_aspect), seconds_of(before, timeline)))
    return frames, errors
