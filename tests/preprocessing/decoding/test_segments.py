"""The grid of segments, and what falls on it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.decoding.segments import Grid, Sound, frames_on_screen, place_on_grid, to_int16

GRID = Grid(num_segments=2, segment_seconds=0.5, sample_rate_hz=1000, start_seconds=1.0)


def sound(start_seconds: float, num_samples: int, value: float = 1.0) -> Sound:
    return Sound(start_seconds, np.full(num_samples, value, dtype=np.float32))


def test_frames_are_taken_at_the_middles_of_the_segments() -> None:
    assert GRID.middles.tolist() == [1.25, 1.75]
    assert (GRID.end_seconds, GRID.num_samples) == (2.0, 1000)


def test_the_frame_on_screen_is_the_last_one_shown() -> None:
    shown = np.array([0.0, 0.4, 0.8])
    times = np.array([-1.0, 0.0, 0.39, 0.4, 0.7999999, 5.0])
    assert frames_on_screen(shown, times).tolist() == [0, 0, 0, 1, 2, 2]  # 0.1 microseconds early counts as shown


def test_sound_before_and_after_the_clip_is_cut_off() -> None:
    waveform, coverage = place_on_grid([sound(0.0, 1500), sound(1.8, 5000)], GRID)
    assert waveform[:500].all()
    assert not waveform[500:800].any()
    assert waveform[800:].all()
    assert coverage == pytest.approx(0.7)


def test_a_later_sound_wins() -> None:
    waveform, coverage = place_on_grid([sound(1.0, 1000, 0.25), sound(1.5, 100, 0.5)], GRID)
    assert (waveform[499], waveform[500], waveform[600], coverage) == (0.25, 0.5, 0.25, 1.0)


@given(st.floats(-5, 5), st.integers(0, 3000))
def test_coverage_is_the_share_of_samples_with_sound(start_seconds: float, num_samples: int) -> None:
    waveform, coverage = place_on_grid([sound(start_seconds, num_samples)], GRID)
    assert coverage == pytest.approx(np.count_nonzero(waveform) / GRID.num_samples)


def test_samples_beyond_full_scale_are_clipped() -> None:
    assert to_int16(np.array([-2.0, -1.0, 0.0, 0.5, 1.0], dtype=np.float32)).tolist() == [
        -32768,
        -32768,
        0,
        16384,
        32767,
    ]
