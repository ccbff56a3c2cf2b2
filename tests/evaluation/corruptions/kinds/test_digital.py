from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.corruptions.kinds.base import SEVERITIES, Clip, Severity
from evaluation.corruptions.kinds.digital import Compression, Gaussian, Impulse, Speckle
from evaluation.corruptions.kinds.published import DIGITAL_SNR_DB
from tests.evaluation.corruptions.conftest import made_clip


def test_gaussian_noise_grows_louder_with_severity_as_its_siblings_do() -> None:
    """The published code takes 1 to 5 dB, so that its severity 5 is the mildest."""
    assert Gaussian().snr_db == DIGITAL_SNR_DB == (40.0, 30.0, 20.0, 10.0, 0.0)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_gaussian_noise_has_the_deviation_named(severity: Severity) -> None:
    grey = made_clip(64, 64)
    grey = replace(grey, video=np.full_like(grey.video, 0.5))
    change = Gaussian(sigma=(0.01, 0.02, 0.03, 0.04, 0.05))(grey, severity, seed=0).video - 0.5
    assert change.std() == pytest.approx(0.01 * severity, rel=0.02)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_the_named_share_of_the_values_is_black_or_white(severity: Severity) -> None:
    clip = made_clip(64, 64)
    found = Impulse()(clip, severity, seed=0).video
    assert (found != clip.video).mean() == pytest.approx(Impulse().share[severity - 1], rel=0.05)
    assert set(np.unique(found[found != clip.video])) == {0.0, 1.0}


def test_five_samples_of_a_hundred_have_a_click() -> None:
    clip = made_clip(16, 16)
    clicks = Impulse()(clip, 1, seed=0).waveform - clip.waveform
    assert (np.abs(clicks) > 1e-6).sum() == 800


def test_speckle_leaves_black_black() -> None:
    clip = made_clip(16, 16)
    dark = replace(clip, video=np.zeros_like(clip.video))
    assert not Speckle()(dark, 5, seed=0).video.any()


def gains(clip: Clip, severity: Severity) -> np.ndarray:
    """Gain by frequency in Hz of a clip of one second."""
    impulse = np.zeros(clip.sample_rate_hz, np.float32)
    impulse[8_000] = 0.5
    found = Compression()(replace(clip, waveform=impulse), severity, seed=0).waveform
    return 2.0 * np.abs(np.fft.rfft(found))


@pytest.mark.parametrize("rate_hz", [16_000, 12_000, 48_000])
def test_a_cutoff_at_half_the_rate_or_above_is_no_trouble(rate_hz: int) -> None:
    """8 kHz at a rate of 16 kHz: the published digital design is not defined there, the gain of the filter is."""
    found = gains(replace(made_clip(16, 16), sample_rate_hz=rate_hz), 1)
    assert found[2_000] == pytest.approx(1.0, abs=1e-3)
    assert found[min(8_000, rate_hz // 2)] == pytest.approx(0.707 if rate_hz > 12_000 else 0.985, abs=2e-3)


@pytest.mark.parametrize("severity", [2, 3, 4, 5])
def test_the_low_pass_takes_3_db_at_its_cutoff_and_36_db_an_octave_above(severity: Severity) -> None:
    """1 / sqrt(1 + 2^12) is -36.1 dB."""
    cutoff_hz = round(Compression().cutoff_hz[severity - 1])
    decibels = 20.0 * np.log10(gains(made_clip(16, 16), severity))
    assert decibels[cutoff_hz] == pytest.approx(-3.01, abs=0.05)
    assert decibels[cutoff_hz // 4] == pytest.approx(0.0, abs=0.01)
    if 2 * cutoff_hz < 8_000:
        assert decibels[2 * cutoff_hz] == pytest.approx(-36.1, abs=0.2)


def test_the_low_pass_delays_nothing() -> None:
    """A tone far below the cutoff comes out as it went in: picture and sound stay together."""
    tone = 0.3 * np.sin(2.0 * np.pi * 100.0 * np.arange(16_000) / 16_000)
    clip = replace(made_clip(16, 16), waveform=tone.astype(np.float32))
    assert np.abs(Compression()(clip, 5, seed=0).waveform - tone).max() < 1e-3
