"""Blocks of sound: joined where one continues the other, apart where time or format jumps."""

from __future__ import annotations

import av
import numpy as np
import pytest

from preprocessing.decoding.sound import MAX_JUMP_SECONDS, SoundRuns


def block(num_samples: int = 1024, *, rate: int = 44_100, layout: str = "stereo", value: float = 0.5) -> av.AudioFrame:
    samples = np.full((2 if layout == "stereo" else 1, num_samples), value, dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
    frame.sample_rate = rate
    return frame


def runs_of(*blocks: tuple[av.AudioFrame, float | None]) -> list[tuple[float, int]]:
    """Start and number of samples of the sounds that blocks make."""
    runs = SoundRuns(16_000)
    for frame, start_seconds in blocks:
        runs.add(frame, start_seconds)
    runs.finish()
    return [(sound.start_seconds, len(sound.samples)) for sound in runs.sounds]


def test_blocks_that_follow_each_other_are_one_sound() -> None:
    """100 blocks of 1024 samples at 44.1 kHz last 2.322 s, whatever a container's clock makes of their times."""
    step = 1024 / 44_100
    ((start, num_samples),) = runs_of(*((block(), 1.5 + round(index * step, 3)) for index in range(100)))
    assert start == 1.5
    assert num_samples == pytest.approx(100 * step * 16_000, abs=2)


def test_a_jump_starts_a_new_sound() -> None:
    step = 1024 / 44_100
    assert [start for start, _ in runs_of((block(), 0.0), (block(), step + 2 * MAX_JUMP_SECONDS))] == [0.0, step + 0.01]
    assert len(runs_of((block(), 0.0), (block(), step + 0.5 * MAX_JUMP_SECONDS))) == 1


def test_a_block_without_a_time_continues_the_one_before() -> None:
    assert len(runs_of((block(), 3.0), (block(), None), (block(), None))) == 1


def test_other_channels_and_rates_start_a_new_sound_where_they_come() -> None:
    found = runs_of((block(4410), 0.0), (block(1600, rate=16_000, layout="mono"), 0.1), (block(4410), 0.2))
    assert [start for start, _ in found] == pytest.approx([0.0, 0.1, 0.2])
    assert [num_samples for _, num_samples in found] == pytest.approx([1600] * 3, abs=1)


def test_stereo_becomes_its_mean() -> None:
    runs = SoundRuns(16_000)
    runs.add(block(1600, rate=16_000), 0.0)
    runs.finish()
    assert runs.sounds[0].samples == pytest.approx(0.5, abs=1e-3)


def test_nothing_makes_no_sound() -> None:
    assert runs_of() == []
