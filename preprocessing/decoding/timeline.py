"""A video's timeline: the times of its frames, read off its packets; nothing is decoded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

if TYPE_CHECKING:
    AnyPacket = Packet[Any]
else:
    AnyPacket = Packet  # generic in its stub only


NEVER = np.iinfo(np.int64).min
"""Stands in an array of times for a packet that has none."""


@dataclass(frozen=True)
class Packets:
    """The packets of one stream, with which those of a moment are found without looking at all of them."""

    in_order: Sequence[AnyPacket]
    """In file order."""

    @cached_property
    def pts(self) -> NDArray[np.float64]:
        """Presentation time of each, in the stream's time base; NaN where it has none: `[packets]`."""
        return np.array([np.nan if packet.pts is None else packet.pts for packet in self.in_order], dtype=np.float64)

    @cached_property
    def keyframes(self) -> list[tuple[int, int]]:
        """Position and presentation time of each keyframe."""
        return [
            (index, packet.pts)
            for index, packet in enumerate(self.in_order)
            if packet.is_keyframe and packet.pts is not None
        ]

    def positions_shown_at(self, times: Iterable[int]) -> list[int]:
        """Positions of the packets whose frames are shown at one of these times, in order."""
        ordered, order = self._shown
        wanted = sorted(times)
        bounds = zip(np.searchsorted(ordered, wanted), np.searchsorted(ordered, wanted, side="right"), strict=True)
        return sorted(int(order[place]) for first, stop in bounds for place in range(first, stop))

    @cached_property
    def _shown(self) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """The times at which frames are shown, sorted, and the position of each one's packet."""
        times = (shown_at(packet) for packet in self.in_order)
        shown = np.array([NEVER if time is None else time for time in times], dtype=np.int64)
        order = np.argsort(shown, kind="stable")
        return shown[order], order


@dataclass(frozen=True)
class Timeline:
    """The times at which the frames of a video are shown."""

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


def read_timeline(video: VideoStream, packets: Sequence[AnyPacket]) -> Timeline:
    """Read all presentation times off the packets. Those that an edit list or the codec hides are not shown."""
    is_vp8 = video.codec_context.name == "vp8"
    shown = [
        (time, packet.duration or 0)
        for packet in packets
        if (time := shown_at(packet)) is not None and not (is_vp8 and hides_its_frame(packet))
    ]
    return timeline_of(shown, float(video.time_base or 0))


def timeline_of(shown: Iterable[tuple[int, int]], time_base: float) -> Timeline:
    """The timeline of frames given as presentation time and duration (0: unknown), in units of `time_base` seconds.

    The last frame lasts as long as its duration says, or as the frames before it do.
    """
    ordered = sorted(shown)
    pts = np.array([time for time, _ in ordered], dtype=np.int64)
    if not ordered:
        return Timeline(0.0, time_base, pts, pts.astype(np.float64), 0.0)
    last_duration = ordered[-1][1] or (round(float(np.median(np.diff(pts)))) if len(pts) > 1 else 0)
    return Timeline(
        zero_seconds=int(pts[0]) * time_base,
        time_base=time_base,
        shown_pts=pts,
        shown_seconds=(pts - pts[0]) * time_base,
        duration_seconds=(int(pts[-1] - pts[0]) + last_duration) * time_base,
    )


def promised_seconds(video: VideoStream, num_packets: int) -> float:
    """Length of the video that the header promises; 0 or less if it promises none.

    An MP4 whose header does not list all packets is fragmented: its `sidx` boxes count from stream time 0, not from
    the first frame.
    """
    begin = max(video.start_time or 0, 0) if num_packets > video.frames else 0
    return ((video.duration or 0) - begin) * float(video.time_base or 0)


def shown_at(packet: AnyPacket) -> int | None:
    """Time at which the packet's frame is shown, in its stream's time base; None if an edit list hides it."""
    return None if packet.is_discard else packet.pts


def hides_its_frame(packet: AnyPacket) -> bool:
    """True if a VP8 packet holds a frame that is only referred to: `show_frame` is 0 (RFC 6386, section 9.1)."""
    return not bytes(packet)[0] >> 4 & 1
