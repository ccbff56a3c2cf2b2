"""When frames are shown, by what their packets say."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from preprocessing.decoding.timeline import Timeline, promised_seconds, read_timeline, timeline_of
from tests.preprocessing.recordings import Ffmpeg, Recording


def timeline_in(path: Path) -> Timeline:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return read_timeline(stream, [packet for packet in container.demux(stream) if packet.size])


def test_the_times_of_all_frames_are_known_before_any_is_decoded(recording: Recording) -> None:
    """Matroska rounds them to milliseconds."""
    timeline = timeline_in(recording.path)
    assert timeline.shown_seconds == pytest.approx(np.array(recording.frame_seconds), abs=0.001)
    assert timeline.duration_seconds == pytest.approx(recording.duration_seconds, abs=0.001)


def test_frames_that_a_codec_hides_are_not_shown(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    """VP8 stores references that nobody sees (alternate reference frames) as packets of their own."""
    path = tmp_path / "hidden.webm"
    for number in (1, 2):  # the encoder plans them in its first pass
        ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=4,noise=alls=20:allf=t", "-c:v", "libvpx", "-b:v", "200k",
               "-auto-alt-ref", 1, "-lag-in-frames", 16, "-arnr-maxframes", 5, "-deadline", "good", "-cpu-used", 4,
               "-pass", number, "-passlogfile", tmp_path / "log", path)  # fmt: skip
    with av.open(str(path)) as container:
        num_packets = sum(packet.size > 0 for packet in container.demux(video=0))
    assert num_packets > 100
    assert len(timeline_in(path).shown_pts) == 100


def test_the_last_frame_lasts_as_long_as_it_says_or_as_the_others() -> None:
    assert timeline_of([(0, 10), (20, 30), (10, 10)], 0.01).duration_seconds == pytest.approx(0.5)
    assert timeline_of([(5, 0), (25, 0), (15, 0)], 0.01).duration_seconds == pytest.approx(0.3)


def test_a_fragmented_file_may_promise_its_length_from_time_zero_on(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    """Two B-frames without an edit list: the first frame is shown at 0.08 s, and `sidx` promises up to 1.08 s."""
    path = tmp_path / "fragmented.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=1", "-c:v", "libx264", "-bf", 2, "-use_editlist", 0,
           "-movflags", "frag_keyframe+empty_moov+default_base_moof+global_sidx+dash", path)  # fmt: skip
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        timeline = read_timeline(stream, packets)
        assert timeline.zero_seconds == pytest.approx(0.08)
        assert (stream.duration or 0) * timeline.time_base == pytest.approx(1.08)
        assert promised_seconds(stream, len(packets)) == pytest.approx(timeline.duration_seconds)


def test_an_ordinary_file_promises_its_length(recording: Recording) -> None:
    with av.open(str(recording.path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert promised_seconds(stream, len(packets)) <= recording.duration_seconds + 0.1


def test_zero_is_the_first_shown_frame() -> None:
    timeline = timeline_of([(100, 10), (110, 10)], 0.01)
    assert (timeline.zero_seconds, timeline.shown_seconds[0]) == (1.0, 0.0)
