"""A video that a decoder process keeps open: what happens to a clip of it costs that clip."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.opened_video import OpenedVideo
from preprocessing.decoding.parent import DecoderProcess, EncodedClip, ProcessLimits

LIMITS = ProcessLimits(clip_seconds=30.0, memory_mib=2048)


@pytest.fixture
def short(options: DecodeOptions) -> DecodeOptions:
    """Four segments of a quarter of a second."""
    return DecodeOptions(**{**vars(options), "segment_seconds": 0.25})


def same(one: EncodedClip, other: EncodedClip) -> bool:
    return np.array_equal(one.samples, other.samples) and one.model_dump(exclude={"samples"}) == other.model_dump(
        exclude={"samples"}
    )


def test_its_clips_are_those_of_the_video_alone(video: Path, short: DecodeOptions) -> None:
    """The process goes on to other videos when it is closed."""
    with DecoderProcess(short, LIMITS) as decoder:
        with OpenedVideo(decoder, video, root=video.parent) as opened:
            found = [opened.decode(start) for start in (0.0, 2.5, 1.0)]
            pid = decoder.pid
        alone = [decoder.decode(video, root=video.parent, start_seconds=start) for start in (0.0, 2.5, 1.0)]
        assert decoder.pid == pid
    assert all(map(same, found, alone))


def test_a_video_is_measured_without_being_decoded(tmp_path: Path, video: Path, options: DecodeOptions) -> None:
    """Whole files alone have a length; the last clip ends with it."""
    (tmp_path / "page.mp4").write_text("<html>")
    with DecoderProcess(options, LIMITS) as decoder:
        with OpenedVideo(decoder, video, root=video.parent) as opened:
            seconds = opened.length.video_seconds
            last = opened.decode(seconds - 4 * options.segment_seconds)
        first = decoder.pid
        with pytest.raises(DecodeError, match="not_media"):
            OpenedVideo(decoder, tmp_path / "page.mp4", root=tmp_path)
        with pytest.raises(DecodeError, match="missing_file"):
            OpenedVideo(decoder, tmp_path / "none.mp4", root=tmp_path)
        assert decoder.decode(video, root=video.parent, start_seconds=None).end_seconds == pytest.approx(seconds)
        assert decoder.pid == first
    assert last.end_seconds == pytest.approx(seconds)
    assert last.video_coverage == 1


def test_a_clip_that_is_refused_costs_no_other(video: Path, short: DecodeOptions) -> None:
    with DecoderProcess(short, LIMITS) as decoder, OpenedVideo(decoder, video, root=video.parent) as opened:
        with pytest.raises(DecodeError, match="too_short"):
            opened.decode(3.5)
        assert opened.decode(3.0).start_seconds == 3.0


def test_a_kill_from_outside_costs_nothing(video: Path, short: DecodeOptions) -> None:
    with DecoderProcess(short, LIMITS) as decoder, OpenedVideo(decoder, video, root=video.parent) as opened:
        before = opened.decode(1.0)
        assert decoder.pid is not None
        os.kill(decoder.pid, signal.SIGKILL)
        assert same(opened.decode(1.0), before)
        os.kill(decoder.pid, signal.SIGKILL)  # when it is closed there is no process


def test_a_hang_costs_one_clip(video: Path, short: DecodeOptions) -> None:
    with (
        DecoderProcess(short, ProcessLimits(clip_seconds=1.5, memory_mib=2048)) as decoder,
        OpenedVideo(decoder, video, root=video.parent) as opened,
    ):
        opened.decode(0.0)
        assert decoder.pid is not None
        os.kill(decoder.pid, signal.SIGSTOP)
        with pytest.raises(DecodeError, match=r"timeout: not decoded within 1\.5 s"):
            opened.decode(1.0)
        assert opened.decode(2.0).start_seconds == 2.0
