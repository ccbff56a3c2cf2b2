from __future__ import annotations

import numpy as np
import pytest

from evaluation.corruptions.materials import sounds
from evaluation.corruptions.materials.mixing import Wave, level

RATE_HZ = 16_000
NOISES = ("rain", "snow", "ice", "drops", "wind", "underwater", "concert", "fire", "babble")


def made(name: str, *, seed: int = 0, num_samples: int = 4 * RATE_HZ) -> Wave:
    found: Wave = getattr(sounds, name)(np.random.default_rng(seed), num_samples, RATE_HZ)
    return found


def share_below(wave: Wave, hertz: float) -> float:
    """Share of the power below a frequency."""
    power = np.abs(np.fft.rfft(wave)) ** 2
    return float(power[: round(hertz * len(wave) / RATE_HZ)].sum() / power.sum())


@pytest.mark.parametrize("num_samples", [4 * RATE_HZ, 7_919, 100])
@pytest.mark.parametrize("name", NOISES)
def test_a_noise_is_finite_heard_and_seeded(name: str, num_samples: int) -> None:
    first = made(name, num_samples=num_samples)
    assert first.shape == (num_samples,)
    assert np.isfinite(first).all()
    assert level(first) > 0.0
    assert np.array_equal(first, made(name, num_samples=num_samples))
    assert not np.array_equal(first, made(name, seed=1, num_samples=num_samples))


def test_noises_have_the_spectra_of_their_causes() -> None:
    assert share_below(made("underwater"), 1_000.0) > 0.8
    assert share_below(made("wind"), 1_000.0) > 0.9
    assert share_below(made("rain"), 1_000.0) < 0.3
    assert share_below(made("ice"), 1_000.0) < 0.5
    assert 0.5 < share_below(made("babble"), 1_000.0) < 0.98


def test_voices_come_in_syllables_and_rain_does_not() -> None:
    def swing(wave: Wave) -> float:
        loudness = np.sqrt(np.square(wave).reshape(-1, RATE_HZ // 20).mean(1))
        return float(loudness.std() / loudness.mean())

    one_voice = sounds.babble(np.random.default_rng(0), 4 * RATE_HZ, RATE_HZ, num_voices=1)
    assert swing(one_voice) > 2.0 * swing(made("babble")) > swing(made("rain"))


def test_a_siren_rises_and_falls() -> None:
    """The strongest tone above the fire's roar wanders between 600 and 1300 Hz."""
    wave = made("fire")
    windows = wave.reshape(-1, RATE_HZ // 8) * np.hanning(RATE_HZ // 8)
    spectra = np.abs(np.fft.rfft(windows, axis=1))[:, 70:170]
    pitches = 8.0 * (70 + spectra.argmax(1))
    assert pitches.max() - pitches.min() > 350.0


def test_slow_noise_is_slow_and_of_unit_deviation() -> None:
    curve = sounds.slow_noise(np.random.default_rng(0), 4 * RATE_HZ, RATE_HZ, hertz=2.0)
    assert curve.mean() == pytest.approx(0.0, abs=1e-9)
    assert curve.std() == pytest.approx(1.0)
    assert share_below(curve, 6.0) > 0.999
