"""Which videos become clips: limits by their numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from preprocessing.decoding.acceptance import (
    DecodeError,
    DecodeOptions,
    check_damage,
    check_size,
    check_sound,
    check_timeline,
    place_clip,
)
from preprocessing.decoding.segments import Grid, Sound
from preprocessing.decoding.timeline import timeline_of

TEN_SECONDS = timeline_of([(40 * number, 40) for number in range(250)], 0.001)
GRID = Grid(num_segments=4, segment_seconds=1.0, sample_rate_hz=16_000)


def reason(check: object, *arguments: object, **named: object) -> str:
    assert callable(check)
    with pytest.raises(DecodeError) as error:
        check(*arguments, **named)
    return error.value.reason


def sounds(*spans: tuple[float, float]) -> list[Sound]:
    return [Sound(start, np.ones(round((end - start) * 16_000), np.float32)) for start, end in spans]


def test_a_clip_may_lie_anywhere_in_its_video(options: DecodeOptions) -> None:
    assert [place_clip(TEN_SECONDS, options, start)[0].start_seconds for start in (None, 0.0, 6.2)] == [3.0, 0.0, 6.2]
    assert reason(place_clip, TEN_SECONDS, options, 6.3) == "too_short"


def test_an_offset_moves_every_clip_later_by_a_share_of_a_segment(options: DecodeOptions) -> None:
    """Wherever it would begin, and it must still end in time; a place that is given as it is stays."""
    later = replace(options, offset=0.25)
    starts = [place_clip(TEN_SECONDS, later, start)[0].start_seconds for start in (None, 0.0, 5.95)]
    assert starts == [3.25, 0.25, 6.2]
    assert reason(place_clip, TEN_SECONDS, later, 6.05) == "too_short"
    assert place_clip(TEN_SECONDS, later.at_given_starts(), 6.2)[0].start_seconds == 6.2


@pytest.mark.parametrize(("start", "coverage"), [(0.0, 1.0), (7.0, 0.75), (9.0, 0.25)])
def test_video_coverage_is_the_share_of_the_clip_with_a_frame_on_screen(
    start: float, coverage: float, options: DecodeOptions
) -> None:
    assert place_clip(TEN_SECONDS, replace(options, missing_tail="pad"), start)[1] == pytest.approx(coverage)


def test_a_clip_beyond_the_end_of_its_video_is_refused_even_when_tails_are_padded(options: DecodeOptions) -> None:
    assert reason(place_clip, TEN_SECONDS, replace(options, missing_tail="pad"), 30.0) == "video_coverage"


def test_sound_may_end_a_quarter_of_a_segment_before_the_clip(options: DecodeOptions) -> None:
    check_sound(sounds((0.0, 3.75)), 0.94, GRID, options)
    assert reason(check_sound, sounds((0.0, 3.74)), 0.93, GRID, options) == "sound_ends_early"
    check_sound(sounds((0.0, 3.74)), 0.93, GRID, replace(options, missing_tail="pad"))
    assert reason(check_sound, [], 0.0, GRID, options) == "audio_coverage"


def test_a_late_start_and_gaps_of_the_sound_are_no_missing_tail(options: DecodeOptions) -> None:
    check_sound(sounds((1.0, 1.5), (3.5, 4.0)), 0.25, GRID, options)


def test_sound_that_jumps_every_tenth_of_a_second_has_no_clock(options: DecodeOptions) -> None:
    jumping = sounds(*((number / 10, number / 10 + 0.09) for number in range(40)))
    assert reason(check_sound, jumping, 0.9, GRID, options) == "broken_clock"


def test_sound_that_drifts_by_more_than_a_hundredth_has_no_clock(options: DecodeOptions) -> None:
    """Unless that is the smaller part of it."""
    drifting = [replace(sound, drift=0.05) for sound in sounds((0.0, 1.9), (1.9, 4.0))]
    steady = sounds((0.0, 1.9), (1.9, 4.0))
    assert reason(check_sound, drifting, 1.0, GRID, options) == "broken_clock"
    assert reason(check_sound, [steady[0], drifting[1]], 1.0, GRID, options) == "broken_clock"
    check_sound([drifting[0], steady[1]], 1.0, GRID, options)
    check_sound([replace(sound, drift=-0.009) for sound in steady], 1.0, GRID, options)


def test_a_rate_may_be_a_hundredth_above_its_name(options: DecodeOptions) -> None:
    """Phones call 240.05 frames a second 240."""
    check_timeline(timeline_of([(20 * number, 20) for number in range(1000)], 1 / 4801), options)
    fast = timeline_of([(20 * number, 20) for number in range(1000)], 1 / 4860)
    assert reason(check_timeline, fast, options) == "frame_rate"


@pytest.mark.parametrize(
    ("size", "claimed", "aspect", "expected"),
    [
        ((1920, 1080), (1920, 1088), 1.0, None),
        ((1920, 1080), (0, 0), 1.0, None),
        ((720, 576), (720, 576), 64 / 45, None),
        ((340, 256), (65535, 65535), 1.0, "dimension_mismatch"),
        ((340, 256), (357, 256), 1.0, "dimension_mismatch"),
        ((4097, 16), (4097, 16), 1.0, "too_large"),
        ((0, 0), (340, 256), 1.0, "no_frames"),
        ((340, 256), (340, 256), 1000.0, "pixel_aspect"),
    ],
)
def test_sizes_and_shapes(
    size: tuple[int, int], claimed: tuple[int, int], aspect: float, expected: str | None, options: DecodeOptions
) -> None:
    if expected is None:
        check_size(*size, claimed=claimed, pixel_aspect=aspect, options=options)
    else:
        assert reason(check_size, *size, claimed=claimed, pixel_aspect=aspect, options=options) == expected


def test_a_frame_may_stay_ten_seconds(options: DecodeOptions) -> None:
    check_timeline(timeline_of([(0, 0), (1, 0), (11, 1)], 1.0), options)
    assert reason(check_timeline, timeline_of([(0, 0), (1, 0), (12, 1)], 1.0), options) == "timestamp_jump"


def test_frames_at_one_moment_have_no_clock(options: DecodeOptions) -> None:
    pairs = [(number - number % 2, 2) for number in range(100)]
    assert reason(check_timeline, timeline_of(pairs, 0.04), options) == "broken_clock"
    assert reason(check_timeline, timeline_of([(5, 0)] * 100, 0.04), options) == "frame_rate"


def test_damage_is_refused_above_its_settings(options: DecodeOptions) -> None:
    check_damage(errors=3, missing_frames=0, options=options)
    assert reason(check_damage, errors=4, missing_frames=0, options=options) == "decode_errors"
    assert reason(check_damage, errors=0, missing_frames=1, options=options) == "missing_frames"
    check_damage(errors=0, missing_frames=1, options=replace(options, max_missing_frames=1))
