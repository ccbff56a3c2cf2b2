from __future__ import annotations

import numpy as np
import pytest

from evaluation.corruptions.materials.mixing import QUIETEST, level, mixed


@pytest.mark.parametrize("snr_db", [40, 20.0, 0.0, -5.0])
def test_noise_is_mixed_at_the_ratio(snr_db: int | float) -> None:
    random = np.random.default_rng(0)
    wave, noise = 0.05 * random.standard_normal(10_000), 7.0 * random.standard_normal(10_000)
    added = mixed(wave, noise, snr_db=snr_db) - wave
    assert 20.0 * np.log10(level(wave) / level(added)) == pytest.approx(snr_db, abs=1e-6)


def test_silence_is_taken_for_the_quietest_sound() -> None:
    noise = np.random.default_rng(0).standard_normal(1000)
    assert level(mixed(np.zeros(1000), noise, snr_db=20)) == pytest.approx(QUIETEST / 10)


def test_noise_of_no_level_leaves_the_wave() -> None:
    wave = np.linspace(-0.5, 0.5, 100)
    assert np.array_equal(mixed(wave, np.zeros(100), snr_db=0), wave)


def test_what_is_too_loud_is_cut_off() -> None:
    found = mixed(np.full(100, 0.9), np.full(100, 1.0), snr_db=0)
    assert found.max() == 1.0
