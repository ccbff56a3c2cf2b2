"""Skipping what nobody asked for changes no pixel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from preprocessing.frames import decode_all, decode_frames, decode_only, needed_packets, read_timeline, shown_at
from preprocessing.segments import frames_on_screen

Ffmpeg = Callable[..., bytes]

SECONDS = np.array([0.5, 1.5, 2.5, 3.5])
ENCODINGS: dict[str, tuple[object, ...]] = {
    "one_group.mp4": ("-c:v", "libx264", "-preset", "medium"),
    "short_groups.mp4": ("-c:v", "libx264", "-g", 12, "-bf", 3),
    "open_groups.mp4": ("-c:v", "libx264", "-g", 15, "-bf", 4, "-x264-params", "open-gop=1:b-pyramid=normal:ref=5"),
    "baseline.mp4": ("-c:v", "libx264", "-profile:v", "baseline"),
    "hevc.mp4": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:pools=1"),
    "mpeg4.mp4": ("-c:v", "mpeg4", "-bf", 2, "-g", 20),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-auto-alt-ref", 1, "-lag-in-frames", 10),
    "vp8.webm": ("-c:v", "libvpx", "-auto-alt-ref", 1, "-lag-in-frames", 10, "-deadline", "good", "-cpu-used", 4),
    "mpeg4.avi": ("-c:v", "mpeg4", "-bf", 0),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_wanted_frames_equal_those_of_a_full_decode(name: str, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    path = tmp_path / name
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=4,noise=alls=12:allf=t", "-pix_fmt", "yuv420p",
           *ENCODINGS[name], path)  # fmt: skip
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        packets = [packet for packet in container.demux(video) if packet.size]
        timeline = read_timeline(video, packets)
        for times in (SECONDS, np.array([0.0, 0.05, 3.9]), np.array([2.3])):
            chosen, errors = decode_frames(video, packets, timeline, times, 32)
            video.codec_context.flush_buffers()
            complete, _ = decode_all(video, packets, timeline, times, 32)
            video.codec_context.flush_buffers()
            assert errors == 0
            assert [frame.seconds for frame in chosen] == pytest.approx([frame.seconds for frame in complete])
            assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(chosen, complete, strict=True))


def test_the_quick_way_finds_every_frame_of_a_usual_video(video: Path) -> None:
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        timeline = read_timeline(stream, packets)
        wanted = {int(pts) for pts in timeline.shown_pts[frames_on_screen(timeline.shown_seconds, SECONDS)]}
        found, errors = decode_only(stream, packets, wanted, 32)
    assert (set(found), errors) == (wanted, 0)


def test_groups_are_left_after_their_last_wanted_frame(video: Path) -> None:
    """A keyframe every 25 frames: frame 30 needs the packets from the second keyframe on, and none behind its own."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        timeline = read_timeline(stream, packets)
        wanted = int(timeline.shown_pts[30])
        needed = needed_packets(packets, {wanted})
    assert needed[0] == 25
    assert shown_at(packets[needed[-1]]) == wanted
    assert len(needed) < 15


def test_the_last_frame_lasts_as_long_as_the_others(video: Path) -> None:
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        timeline = read_timeline(stream, [packet for packet in container.demux(stream) if packet.size])
    assert timeline.duration_seconds == pytest.approx(4.0)
    assert timeline.shown_seconds[0] == 0
