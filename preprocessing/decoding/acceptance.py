"""Acceptance of videos: every check that leaves one out, and its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from preprocessing.decoding.sample_clock import MAX_DRIFT
from preprocessing.decoding.segments import Grid, Sound
from preprocessing.decoding.timeline import AnyPacket, Timeline

# A file may end this early (a cut last packet) and still count as whole.
MIN_PRESENT_SHARE = 0.95
# Rates differ from their names by less: phones call 240.05 frames a second 240.
FRAME_RATE_TOLERANCE = 0.01
# Of a stream's packets without a time, or of its frames with the time of another: more is no clock.
MAX_UNCLOCKED_SHARE = 0.05
# Stored order is decoding order: its times never go back. Muxers round them; a second is no rounding.
MAX_BACKWARD_SECONDS = 1.0
# A packet of sound holds at most this much (PCM in MP4 is stored in such pieces).
MAX_BLOCK_SECONDS = 1.0
# A new sound starts where the clock of the samples jumps. Lost packets do so now and then; what jumps more often is no
# clock.
MAX_SOUNDS_PER_SECOND = 1.0
# Of the sound that drifts further than `sample_clock.MAX_DRIFT`: damage may make a part of it look so.
MAX_DRIFTING_SHARE = 0.5
# Broadcast formats need 2; far more makes a picture of a few columns.
MAX_PIXEL_ASPECT = 16.0
# Headers of pictures with 1080 lines may claim 1088: codecs store whole blocks of 16.
MAX_CLAIM_DIFFERENCE_PIXELS = 16


class DecodeError(Exception):
    """A clip that cannot be stored: `reason` is one word, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class DecodeOptions:
    """Settings that the decoder process is given; `PreprocessConfig` documents each value."""

    num_segments: int
    segment_seconds: float
    sample_rate_hz: int
    frame_size: int
    jpeg_quality: int
    missing_tail: Literal["reject", "pad"]
    missing_end_segments: float
    min_video_coverage: float
    min_audio_coverage: float
    max_missing_frames: int
    max_decode_errors: int
    max_side_pixels: int
    max_frames_per_second: float
    max_still_seconds: float
    max_source_seconds: float
    offset: float = 0.0
    """Share of a segment by which a clip begins later than at the place that is chosen for it."""

    @property
    def missing_end_seconds(self) -> float:
        """Most time by which a stream may end before the clip and still count as whole."""
        return self.missing_end_segments * self.segment_seconds

    def at_given_starts(self) -> DecodeOptions:
        """The same for clips whose place is given as it is: nothing is added to it."""
        return replace(self, offset=0.0)

    @property
    def offset_seconds(self) -> float:
        """Time by which a clip begins later than at the place that is chosen for it."""
        return self.offset * self.segment_seconds

    @property
    def max_answer_bytes(self) -> int:
        """Most bytes of a clip's encoded frames and waveform: twice what they take unencoded, and headers."""
        frame_bytes = 3 * self.frame_size**2
        segment_bytes = 2 * round(self.segment_seconds * self.sample_rate_hz)
        return self.num_segments * (2 * frame_bytes + 3 * segment_bytes + (1 << 16)) + (1 << 16)


def check_claimed_size(width: int, height: int, options: DecodeOptions) -> None:
    """Refuse the size that a header claims, before anything of the file is decoded."""
    if max(width, height) > options.max_side_pixels:
        raise DecodeError("too_large", f"{width}x{height} pixels, {options.max_side_pixels} a side allowed")


def check_size(
    width: int, height: int, *, claimed: tuple[int, int], pixel_aspect: float, options: DecodeOptions
) -> None:
    """Refuse pictures of another size than the header claims (0: it claims none), or of a shape nobody shows."""
    check_claimed_size(width, height, options)
    if min(width, height) < 1:
        raise DecodeError("no_frames", "the size of its pictures cannot be read")
    if all(claimed) and max(abs(width - claimed[0]), abs(height - claimed[1])) > MAX_CLAIM_DIFFERENCE_PIXELS:
        raise DecodeError(
            "dimension_mismatch", f"the header claims {claimed[0]}x{claimed[1]}, the stream has {width}x{height} pixels"
        )
    if not 1 / MAX_PIXEL_ASPECT <= pixel_aspect <= MAX_PIXEL_ASPECT:
        raise DecodeError(
            "pixel_aspect", f"pixels {pixel_aspect:g} times as wide as high, {MAX_PIXEL_ASPECT:g} allowed"
        )


def check_packets(packets: Sequence[AnyPacket], *, kind: str, time_base: float) -> None:
    """Refuse a stream whose packets have no times, or whose clock goes back."""
    untimed = sum(packet.pts is None for packet in packets)
    if untimed > MAX_UNCLOCKED_SHARE * len(packets):
        raise DecodeError("no_timestamps", f"{untimed} of {len(packets)} {kind} packets have no presentation time")
    stored = np.array([packet.dts for packet in packets if packet.dts is not None], dtype=np.float64) * time_base
    backward = -float(np.diff(stored).min(initial=0.0))
    if backward > MAX_BACKWARD_SECONDS:
        raise DecodeError("timestamp_jump", f"the {kind} clock goes back by {backward:.3f} s")


def check_timeline(timeline: Timeline, options: DecodeOptions) -> None:
    """Refuse files whose times no real clip has: still pictures, jumps, days, thousands of frames a second."""
    num_frames, seconds = len(timeline.shown_pts), timeline.duration_seconds
    if num_frames == 0:
        raise DecodeError("no_frames", "the video stream has no shown frame")
    if num_frames == 1:
        raise DecodeError("one_frame", "the video stream shows a single picture")
    steps = np.diff(timeline.shown_seconds)
    if (still := float(steps.max())) > options.max_still_seconds:
        raise DecodeError(
            "timestamp_jump", f"{still:.3f} s between two frames, {options.max_still_seconds:g} s allowed"
        )
    if seconds > options.max_source_seconds:
        raise DecodeError("too_long", f"{seconds:.1f} s, {options.max_source_seconds:g} s allowed")
    if num_frames > options.max_frames_per_second * (1 + FRAME_RATE_TOLERANCE) * seconds:
        raise DecodeError(
            "frame_rate", f"{num_frames} frames in {seconds:g} s, {options.max_frames_per_second:g} a second allowed"
        )
    # Muxers put a frame without a time of its own a tick behind the one before.
    repeated = int((steps < 0.5 / options.max_frames_per_second).sum())
    if repeated > MAX_UNCLOCKED_SHARE * num_frames:
        raise DecodeError("broken_clock", f"{repeated} of {num_frames} frames have the time of another")


def check_nothing_is_missing(promised_seconds: float, timeline: Timeline) -> None:
    """Refuse a file that breaks off: its header promises more than could be read (0: it promises nothing)."""
    if timeline.duration_seconds < MIN_PRESENT_SHARE * promised_seconds:
        raise DecodeError("truncated", f"{timeline.duration_seconds:.2f} of {promised_seconds:.2f} s could be read")


def check_same_clock(packets: Sequence[AnyPacket], time_base: float, timeline: Timeline) -> None:
    """Refuse sound that lies wholly before or after the picture: the two are not on one clock."""
    times = [packet.pts * time_base - timeline.zero_seconds for packet in packets if packet.pts is not None]
    if times and (min(times) > timeline.duration_seconds or max(times) < -MAX_BLOCK_SECONDS):
        raise DecodeError(
            "clocks_differ",
            f"sound from {min(times):.3f} to {max(times):.3f} s, pictures from 0 to {timeline.duration_seconds:.3f} s",
        )


def place_clip(timeline: Timeline, options: DecodeOptions, start_seconds: float | None) -> tuple[Grid, float]:
    """Lay the segments over the video, at `start_seconds` or in its middle, and later by the offset; also the share of
    them it covers."""
    clip_seconds = options.num_segments * options.segment_seconds
    start = max((timeline.duration_seconds - clip_seconds) / 2, 0.0) if start_seconds is None else start_seconds
    start += options.offset_seconds
    grid = Grid(options.num_segments, options.segment_seconds, options.sample_rate_hz, start)
    missing = grid.end_seconds - timeline.duration_seconds
    if missing > options.missing_end_seconds and options.missing_tail == "reject":
        raise DecodeError(
            "too_short",
            f"{timeline.duration_seconds:.3f} s of video; {clip_seconds:g} s from {start:.3f} s on are wanted",
        )
    on_screen = min(timeline.duration_seconds, grid.end_seconds) - max(start, 0.0)
    coverage = min(max(on_screen / clip_seconds, 0.0), 1.0)
    if coverage < options.min_video_coverage:
        raise DecodeError(
            "video_coverage", f"pictures cover {coverage:.3f} of it, {options.min_video_coverage:g} needed"
        )
    return grid, coverage


def check_sound(sounds: Sequence[Sound], coverage: float, grid: Grid, options: DecodeOptions) -> None:
    """Refuse too little sound, sound that ends before the clip does, and sound that runs on a clock of its own."""
    if coverage < options.min_audio_coverage:
        raise DecodeError("audio_coverage", f"sound covers {coverage:.3f} of it, {options.min_audio_coverage:g} needed")
    lengths = [len(sound.samples) / grid.sample_rate_hz for sound in sounds]
    if len(sounds) - 1 > max(MAX_SOUNDS_PER_SECOND * sum(lengths), 3.0):
        raise DecodeError(
            "broken_clock", f"the times of the sound jump {len(sounds) - 1} times in {sum(lengths):.1f} s of samples"
        )
    drifting = [
        (length, sound.drift) for sound, length in zip(sounds, lengths, strict=True) if abs(sound.drift) > MAX_DRIFT
    ]
    if sum(length for length, _ in drifting) > MAX_DRIFTING_SHARE * sum(lengths):
        raise DecodeError(
            "broken_clock",
            f"the times of the sound drift by {max(drifting)[1]:+.1%} against its samples, {MAX_DRIFT:.0%} allowed",
        )
    end = max((sound.start_seconds + length for sound, length in zip(sounds, lengths, strict=True)), default=0.0)
    if grid.end_seconds - end > options.missing_end_seconds and options.missing_tail == "reject":
        raise DecodeError("sound_ends_early", f"at {end:.3f} s; the clip ends at {grid.end_seconds:.3f} s")


def check_damage(*, errors: int, missing_frames: int, options: DecodeOptions) -> None:
    """Refuse more damage than is allowed."""
    if errors > options.max_decode_errors:
        raise DecodeError("decode_errors", f"{errors} packets failed, {options.max_decode_errors} allowed")
    if missing_frames > options.max_missing_frames:
        raise DecodeError(
            "missing_frames", f"{missing_frames} wanted frames did not decode, {options.max_missing_frames} allowed"
        )
