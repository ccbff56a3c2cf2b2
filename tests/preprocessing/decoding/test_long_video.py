"""A video that is read once gives the clips that are decoded of it alone, bit for bit."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.clip import decode_file
from preprocessing.decoding.long_video import LongVideo
from tests.preprocessing.recordings import Recording

STARTS = (0.0, 0.5, 1.5, 2.9, 0.25)
"""Of clips of one second: one after the other, overlapping, and one that lies before them."""


def test_every_clip_is_the_one_that_is_decoded_alone(recording: Recording, options: DecodeOptions) -> None:
    options = replace(options, num_segments=5, segment_seconds=0.2, missing_tail="pad")
    suffix = recording.path.suffix.lower()
    with recording.path.open("rb", buffering=0) as file, recording.path.open("rb", buffering=0) as other:
        video = LongVideo(file, options, suffix=suffix)
        for start in STARTS:
            found, alone = video.clip(start), decode_file(other, options, suffix=suffix, start_seconds=start)
            assert np.array_equal(found.samples, alone.samples)
            assert np.array_equal(np.stack(found.frames), np.stack(alone.frames))
            assert replace(found, frames=(), samples=alone.samples) == replace(alone, frames=(), samples=alone.samples)


def test_a_damaged_video_loses_the_same_clips(video: Path, options: DecodeOptions, tmp_path: Path) -> None:
    """Bytes in the middle of the file are others: some clips are refused, for the reason that each has alone."""
    data = bytearray(video.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    options = replace(options, num_segments=2, segment_seconds=0.4, max_decode_errors=0)

    def outcome(decode: object) -> tuple[object, ...]:
        assert callable(decode)
        try:
            clip = decode()
        except DecodeError as error:
            return error.reason, error.detail
        return clip.samples.tobytes(), *(frame.tobytes() for frame in clip.frames), clip.decode_errors

    with path.open("rb", buffering=0) as file, path.open("rb", buffering=0) as other:
        long = LongVideo(file, options, suffix=".mp4")
        starts = [0.4 * number for number in range(8)]
        found = [outcome(lambda start=start: long.clip(start)) for start in starts]
        alone = [
            outcome(lambda start=start: decode_file(other, options, suffix=".mp4", start_seconds=start))
            for start in starts
        ]
    assert found == alone
    assert {len(each) for each in found} == {2, 4}  # some are refused, some are not


def test_a_long_video_has_a_length_and_a_hash(video: Path, options: DecodeOptions) -> None:
    with video.open("rb", buffering=0) as file:
        long = LongVideo(file, options, suffix=".mp4")
        assert long.source_sha256 == hashlib.sha256(video.read_bytes()).hexdigest()
        assert long.lengths == {"video_seconds": pytest.approx(4.0), "sound_seconds": pytest.approx(4.0, abs=0.05)}
