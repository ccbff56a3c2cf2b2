"""When samples play, by stamps that jitter, drift, jump and lie; errors are in milliseconds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from preprocessing.decoding.sample_clock import MAX_DRIFT, Run, follow_clock

BLOCK_SECONDS = 1024 / 48_000
Times = NDArray[np.float64]
Stamping = Callable[[Times], Times]


def times_of(seconds: float, block_seconds: float = BLOCK_SECONDS) -> Times:
    """When the blocks of a sound without jumps play."""
    return np.asarray(np.arange(int(seconds / block_seconds)) * block_seconds, np.float64)


def lengths_of(times: Times, block_seconds: float = BLOCK_SECONDS) -> Times:
    return np.full(len(times), block_seconds)


def estimated(runs: list[Run], lengths: Times) -> Times:
    """When the blocks play by the runs."""
    counted = np.cumsum(lengths) - lengths
    return np.concatenate(
        [run.start_seconds + (counted[run.first : run.stop] - counted[run.first]) * (1 + run.drift) for run in runs]
    )


def error_ms(times: Times, stamps: Times) -> float:
    """Largest error of the estimate over all blocks."""
    lengths = lengths_of(times)
    return float(np.abs(estimated(follow_clock(stamps, lengths), lengths) - times).max() * 1000)


def exact(times: Times) -> Times:
    return times


def in_milliseconds(times: Times) -> Times:
    return np.round(times, 3)


def every(seconds: float) -> Stamping:
    """As Android stamps: with the start of the buffer that a block begins in. Half a buffer early on average, which no
    stamp tells, so it is taken off."""
    return lambda times: np.floor(times / seconds) * seconds + seconds / 2


def scattered(seconds: float) -> Stamping:
    return lambda times: times + np.random.default_rng(0).uniform(-seconds, seconds, len(times))


STAMPINGS: dict[str, tuple[Stamping, float]] = {
    "exact": (exact, 0.05),
    "in milliseconds": (in_milliseconds, 0.6),
    "every 10 ms": (every(0.01), 1.0),
    "every 20 ms, as Android": (every(0.02), 2.0),
    "every 23 ms": (every(0.023), 2.0),
    "every 33.3 ms": (every(1 / 30), 1.5),
    "every 40 ms": (every(0.04), 2.5),
    "20 ms early or late": (scattered(0.02), 2.0),
}
"""Ways to stamp, each with the error that is allowed over 11 s. Blocks of 21.33 ms in a grid of 20 ms make steps of
1.33 ms, so their mean is not known better than that."""


@pytest.mark.parametrize("drift", [0.0, 0.001, -0.001, 0.003, -0.003, 0.008])
@pytest.mark.parametrize("name", STAMPINGS)
def test_sound_without_jumps_is_one_run_wherever_its_stamps_jitter_and_drift(name: str, drift: float) -> None:
    stamp, allowed_ms = STAMPINGS[name]
    times = 0.25 + times_of(11.0) * (1 + drift)
    (run,) = follow_clock(stamp(times), lengths_of(times))
    assert run.drift == pytest.approx(drift, abs=0.0004)
    assert error_ms(times, stamp(times)) < allowed_ms


@pytest.mark.parametrize("stamp", [exact, in_milliseconds])
def test_a_good_clock_starts_at_its_first_stamp_and_is_not_stretched(stamp: Stamping) -> None:
    """Bit for bit, so that the samples are those of plain resampling."""
    for start in (0.0, 0.003, 0.004, 0.0213, -0.044, 1.5):
        stamps = stamp(start + times_of(11.0))
        (run,) = follow_clock(stamps, lengths_of(stamps))
        assert (run.first, run.stop, run.start_seconds, run.drift) == (0, len(stamps), stamps[0], 0.0)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.2, 2.0, 4.0, 60.0])
@pytest.mark.parametrize("name", ["exact", "in milliseconds", "every 20 ms, as Android"])
def test_short_and_long_sounds_are_one_run(name: str, seconds: float) -> None:
    stamp, _ = STAMPINGS[name]
    times = times_of(seconds)
    (run,) = follow_clock(stamp(times), lengths_of(times))
    assert abs(run.start_seconds) < 0.0101
    assert abs(run.drift) < MAX_DRIFT


JUMPS = [0.003, 0.0037, 0.0213, 0.1, 0.6, 30.0, -0.0037, -0.0213, -0.1, -1.0]


@pytest.mark.parametrize("drift", [0.0, 0.001, 0.003])
@pytest.mark.parametrize("stamp", [exact, in_milliseconds])
@pytest.mark.parametrize("jump", JUMPS)
def test_a_jump_is_found_at_its_block(jump: float, stamp: Stamping, drift: float) -> None:
    """Backward ones too: samples that come twice."""
    times = times_of(11.0) * (1 + drift)
    times[200:] += jump
    runs = follow_clock(stamp(times), lengths_of(times))
    assert [run.first for run in runs] == [0, 200]
    assert error_ms(times, stamp(times)) < 0.6


@pytest.mark.parametrize("at", [30, 256, 487])
@pytest.mark.parametrize("jump", [jump for jump in JUMPS if abs(jump) > 0.02])
def test_a_jump_is_found_among_jitter(jump: float, at: int) -> None:
    """A lost block of 21.33 ms is hardly more than the step from one Android stamp to the next; the cut may lie a few
    blocks beside it."""
    times = times_of(11.0)
    times[at:] += jump
    runs = follow_clock(every(0.02)(times), lengths_of(times))
    assert len(runs) == 2
    assert runs[1].first == pytest.approx(at, abs=2 if abs(jump) < 0.1 else 0)


def test_jumps_there_and_back_are_three_runs() -> None:
    times = times_of(11.0)
    times[100:300] += 0.03
    runs = follow_clock(in_milliseconds(times), lengths_of(times))
    assert [run.first for run in runs] == [0, 100, 300]


def test_many_jumps_are_all_found() -> None:
    """A block of 50 lost: eleven runs."""
    times = times_of(11.0)
    times += np.arange(len(times)) // 50 * BLOCK_SECONDS
    assert [run.first for run in follow_clock(times, lengths_of(times))] == list(range(0, len(times), 50))


@pytest.mark.parametrize("error", [0.02, -0.05, 1.0, -3600.0])
@pytest.mark.parametrize("num_wrong", [1, 2])
def test_a_stamp_or_two_that_differ_from_all_around_them_are_not_listened_to(error: float, num_wrong: int) -> None:
    times = times_of(11.0)
    stamps = in_milliseconds(times)
    stamps[100 : 100 + num_wrong] += error
    (run,) = follow_clock(stamps, lengths_of(times))
    assert (run.start_seconds, run.drift) == (0.0, 0.0)


def test_a_first_block_that_overlaps_the_second_is_a_run_by_itself() -> None:
    times = times_of(4.0)
    times[1:] -= 0.05
    assert [(run.first, run.stop) for run in follow_clock(times, lengths_of(times))] == [(0, 1), (1, len(times))]


def test_stamps_may_be_missing() -> None:
    """Where every second one is missing, and the first ten and those around a jump."""
    times = times_of(4.0)
    times[100:] += 0.5
    stamps = times.copy()
    stamps[1::2] = stamps[:10] = stamps[99:102] = np.nan
    runs = follow_clock(stamps, lengths_of(times))
    assert [(run.first, run.start_seconds) for run in runs] == [(0, pytest.approx(0.0)), (102, times[102])]


def test_one_stamp_is_enough() -> None:
    times = times_of(1.0)
    stamps = np.full(len(times), np.nan)
    stamps[7] = 3.0
    (run,) = follow_clock(stamps, lengths_of(times))
    assert run.start_seconds == pytest.approx(3.0 - 7 * BLOCK_SECONDS)
    assert run.drift == 0.0


def test_a_clock_that_changes_its_speed_is_followed() -> None:
    """None for 5.5 s, then 0.3 %; and one that wanders by 5 ms within 10 s."""
    times = times_of(11.0)
    bent = times + 0.003 * np.maximum(times - 5.5, 0.0)
    assert error_ms(bent, in_milliseconds(bent)) < 1.0
    wandering = times + 0.005 * np.sin(times * 2 * np.pi / 10)
    assert error_ms(wandering, in_milliseconds(wandering)) < 1.5


def test_what_is_no_drift_is_told_by_its_size() -> None:
    """5 % is 48 kHz called 50.4: found to within a tenth of itself even where a usual drift is far smaller."""
    times = times_of(4.0) * 1.05
    assert [run.drift for run in follow_clock(times, lengths_of(times))] == pytest.approx([0.05], rel=0.15)


def test_a_few_jittering_blocks_make_up_no_drift() -> None:
    """Between two jumps, 0.25 s of Android's stamps fall behind by 6 %."""
    times = times_of(11.0)
    times[200:] += 1.0
    times[212:] += 1.0
    runs = follow_clock(every(0.02)(times), lengths_of(times))
    assert [run.first for run in runs] == [0, 200, 212]
    assert abs(runs[1].drift) < MAX_DRIFT


@given(
    st.lists(st.floats(-100, 100) | st.just(float("nan")), min_size=1, max_size=60).filter(
        lambda stamps: bool(np.isfinite(stamps).any())
    ),
    st.sampled_from([0.0, 0.0001, 0.02, 1.0]),
)
def test_any_stamps_are_cut_into_runs_that_hold_every_block_once(stamps: list[float], block_seconds: float) -> None:
    runs = follow_clock(np.array(stamps), np.full(len(stamps), block_seconds))
    assert [run.first for run in runs] == [0, *(run.stop for run in runs[:-1])]
    assert runs[-1].stop == len(stamps)
    assert all(np.isfinite([run.start_seconds, run.drift]).all() and run.first < run.stop for run in runs)
