"""Skipping what nobody asked for changes no pixel."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from preprocessing.decoding.frames import DecodedFrames, decode_frames, decode_only, needed_spans
from preprocessing.decoding.segments import frames_on_screen
from preprocessing.decoding.timeline import AnyPacket, Packets, read_timeline, shown_at
from tests.preprocessing.recordings import Ffmpeg, Recording

SECONDS = np.array([0.5, 1.5, 2.5, 3.5])


def whole(frame: VideoFrame) -> NDArray[np.uint8]:
    """All planes of a frame as they were decoded."""
    return cast(NDArray[np.uint8], frame.to_ndarray().view(np.uint8))


def test_skipping_changes_no_byte_of_a_wanted_frame(recording: Recording) -> None:
    """Compared with an independent decode of the whole file, plane by plane."""
    with av.open(str(recording.path)) as container:
        complete = {frame.pts: whole(frame) for frame in container.decode(video=0)}
    with av.open(str(recording.path)) as container:
        video = container.streams.video[0]
        packets = [packet for packet in container.demux(video) if packet.size]
        timeline = read_timeline(video, packets)
        for times in (SECONDS, np.array([0.0, 0.05, 3.9]), np.array([2.3])):
            wanted = {int(pts) for pts in timeline.shown_pts[frames_on_screen(timeline.shown_seconds, times)]}
            found, errors = decode_only(video, Packets(packets), wanted, whole)
            assert (set(found), errors) == (wanted, 0)
            assert all(np.array_equal(found[pts], complete[pts]) for pts in wanted)


def decoded_without(path: Path, lost: slice, times: NDArray[np.float64]) -> DecodedFrames:
    """The frames of a video after some packets have lost their bytes, but not their times."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        packets: list[AnyPacket] = [packet for packet in container.demux(video) if packet.size]
        timeline = read_timeline(video, packets)
        gone = {int(pts) for pts in timeline.shown_pts[lost]}
        left = [packet for packet in packets if packet.pts not in gone]
        return decode_frames(video, Packets(left), timeline, times, whole)


def test_a_wanted_frame_that_does_not_decode_is_counted_and_replaced_by_the_one_before(
    tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    """Without the packets of frames 12 and 13, at 25 frames a second: frame 11 stays on screen at 0.5 s."""
    path = tmp_path / "all_intra.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=4", "-c:v", "libx264", "-g", 1, "-pix_fmt", "yuv420p", path)
    complete = decoded_without(path, slice(0), np.array([0.45, *SECONDS]))
    damaged = decoded_without(path, slice(12, 14), SECONDS)
    assert (complete.missing, damaged.missing) == (0, 1)
    assert [frame.seconds for frame in damaged.frames] == pytest.approx([0.44, 1.48, 2.48, 3.48])
    assert np.array_equal(damaged.frames[0].picture, complete.frames[0].picture)


def test_the_quick_way_finds_every_frame_of_a_usual_video(video: Path) -> None:
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        timeline = read_timeline(stream, packets)
        wanted = {int(pts) for pts in timeline.shown_pts[frames_on_screen(timeline.shown_seconds, SECONDS)]}
        found, errors = decode_only(stream, Packets(packets), wanted, whole)
    assert (set(found), errors) == (wanted, 0)


def test_groups_are_left_after_their_last_wanted_frame(video: Path) -> None:
    """A keyframe every 25 frames: frame 30 needs the packets from the second keyframe on, and none behind its own."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        timeline = read_timeline(stream, packets)
        wanted = int(timeline.shown_pts[30])
        (span,) = needed_spans(Packets(packets), {wanted})
    assert span.start == 25
    assert shown_at(packets[span.stop - 1]) == wanted
    assert len(span) < 15
