"""Blocks of sound: joined where one continues the other, apart where time or format jumps, stretched by a drift."""

from __future__ import annotations

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from preprocessing.decoding.segments import Sound
from preprocessing.decoding.sound import Block, join

STEP = 1024 / 44_100


def block(num_samples: int = 1024, *, rate: int = 44_100, layout: str = "stereo", value: float = 0.5) -> av.AudioFrame:
    samples = np.full((2 if layout == "stereo" else 1, num_samples), value, dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
    frame.sample_rate = rate
    return frame


def sounds_of(*blocks: tuple[av.AudioFrame, float | None]) -> list[tuple[float, int]]:
    """Start and number of samples of the sounds that blocks make."""
    sounds = join([Block(frame, start) for frame, start in blocks], 16_000)
    return [(sound.start_seconds, len(sound.samples)) for sound in sounds]


def test_blocks_that_follow_each_other_are_one_sound() -> None:
    """100 blocks of 1024 samples at 44.1 kHz last 2.322 s, whatever a container's clock makes of their times."""
    ((start, num_samples),) = sounds_of(*((block(), 1.5 + round(index * STEP, 3)) for index in range(100)))
    assert start == 1.5
    assert num_samples == pytest.approx(100 * STEP * 16_000, abs=2)


def test_a_first_block_is_never_moved_to_zero() -> None:
    assert [start for start, _ in sounds_of(*((block(), 0.004 + index * STEP) for index in range(50)))] == [0.004]


@pytest.mark.parametrize("jump", [0.0037, 0.0232, 0.6])
def test_a_jump_starts_a_new_sound(jump: float) -> None:
    times = [index * STEP + (jump if index >= 60 else 0.0) for index in range(100)]
    assert [start for start, _ in sounds_of(*((block(), time) for time in times))] == [0.0, times[60]]


def test_a_block_without_a_time_continues_the_one_before() -> None:
    assert len(sounds_of((block(), 3.0), (block(), None), (block(), None))) == 1


def test_blocks_without_any_time_begin_at_zero_or_where_others_end() -> None:
    found = sounds_of((block(), None), (block(1600, rate=16_000), None))
    assert [start for start, _ in found] == pytest.approx([0.0, STEP])


def test_other_channels_and_rates_start_a_new_sound_where_they_come() -> None:
    found = sounds_of((block(4410), 0.0), (block(1600, rate=16_000, layout="mono"), 0.1), (block(4410), 0.2))
    assert [start for start, _ in found] == pytest.approx([0.0, 0.1, 0.2])
    assert [num_samples for _, num_samples in found] == pytest.approx([1600] * 3, abs=1)


def test_stereo_becomes_its_mean() -> None:
    (sound,) = join([Block(block(1600, rate=16_000), 0.0)], 16_000)
    assert sound.samples == pytest.approx(0.5, abs=1e-3)


def test_nothing_makes_no_sound() -> None:
    assert sounds_of() == []


def clicks(rate: int, seconds: int = 11) -> NDArray[np.float32]:
    """A Hann bump of 5 ms around each half second."""
    sound = np.zeros(seconds * rate, np.float32)
    bump = np.hanning(round(0.005 * rate)).astype(np.float32)
    for middle in np.arange(0.5, seconds, 0.5):
        begin = round(middle * rate) - len(bump) // 2
        sound[begin : begin + len(bump)] = bump
    return sound


def middles_of(sound: Sound) -> NDArray[np.float64]:
    """When the bumps are heard, by their centres of gravity."""
    places = np.flatnonzero(sound.samples > 0.05)
    bumps = np.split(places, np.flatnonzero(np.diff(places) > 160) + 1)
    return sound.start_seconds + np.array([np.average(bump, weights=sound.samples[bump]) for bump in bumps]) / 16_000


@pytest.mark.parametrize("drift", [0.0, 0.001, 0.003, -0.003, 0.009])
@pytest.mark.parametrize(("rate", "grid"), [(48_000, 0.0), (44_100, 0.001), (8_000, 0.001), (48_000, 0.02)])
def test_every_sample_is_heard_when_its_stamp_says(rate: int, grid: float, drift: float) -> None:
    """Within a fifth of a millisecond where stamps are exact, within one where they are rounded to one, and within two
    where Android stamps every 20 ms (in the middle of them here: which end is right, no stamp says)."""
    samples = clicks(rate)
    starts = range(0, len(samples), 1024)
    blocks = []
    for start in starts:
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis, start : start + 1024], format="fltp", layout="mono")
        frame.sample_rate = rate
        time = start / rate * (1 + drift)
        blocks.append(Block(frame, time if not grid else np.floor(time / grid) * grid + grid / 2))
    (sound,) = join(blocks, 16_000)
    heard = middles_of(sound)
    expected = np.arange(0.5, 11, 0.5) * (1 + drift)
    assert heard == pytest.approx(expected, abs=2e-4 + min(grid, 0.002))
    assert sound.drift == pytest.approx(drift, abs=2e-4)
