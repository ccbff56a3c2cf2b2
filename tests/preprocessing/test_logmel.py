"""The log-mel front end: in [0, 1], each patch from its own segment, differentiable down to silence."""

from __future__ import annotations

import math

import pytest
import torch
import torchaudio

from preprocessing.logmel import LogMel
from preprocessing.schema import ClipFormat

FORMAT = ClipFormat()


def tone(hertz: float, amplitude: float = 1.0) -> torch.Tensor:
    seconds = torch.arange(FORMAT.segment_samples) / FORMAT.sample_rate_hz
    return amplitude * torch.sin(2 * math.pi * hertz * seconds)


def test_patches_have_the_shape_of_the_format() -> None:
    assert LogMel(FORMAT)(torch.zeros(2, 10, FORMAT.segment_samples)).shape == (2, 10, FORMAT.num_mels, FORMAT.steps)


def test_patches_are_torchaudios_mel_spectrogram_in_decibels() -> None:
    """Silence is -60 dB and 110 dB are one."""
    waveform = torch.randn(2, FORMAT.segment_samples, generator=torch.Generator().manual_seed(0)) / 10
    mel = torchaudio.transforms.MelSpectrogram(
        sample_rate=FORMAT.sample_rate_hz,
        n_fft=FORMAT.n_fft,
        hop_length=FORMAT.hop_length,
        n_mels=FORMAT.num_mels,
        center=False,
    )
    margin = (FORMAT.n_fft - FORMAT.hop_length) // 2
    padded = torch.nn.functional.pad(waveform[:, None], (margin, margin), mode="reflect")[:, 0]
    expected = ((10 * torch.log10(mel(padded) + 1e-6) + 60) / 110).clamp(0, 1)
    torch.testing.assert_close(LogMel(FORMAT)(waveform), expected, rtol=0, atol=1e-6)


def test_silence_is_zero_and_full_scale_is_below_one() -> None:
    assert LogMel(FORMAT)(torch.zeros(FORMAT.segment_samples)).abs().max() < 1e-6
    loudest = LogMel(FORMAT)(tone(1000.0)).max()
    assert 0.9 < loudest < 1.0


def test_twenty_decibels_are_the_same_step_everywhere() -> None:
    """20 of the 110 dB between silence and the top."""
    loud, soft = LogMel(FORMAT)(torch.stack([tone(1000.0, 0.5), tone(1000.0, 0.05)])).amax(dim=(1, 2))
    assert float(loud - soft) == pytest.approx(20 / 110, abs=1e-3)


def test_a_patch_depends_on_its_own_segment_alone() -> None:
    one, two = tone(440.0), tone(3000.0)
    together = LogMel(FORMAT)(torch.stack([one, two]))
    assert torch.equal(together[0], LogMel(FORMAT)(one[None])[0])


def test_a_beep_shows_at_its_step() -> None:
    """A beep of 10 ms at 0.5 s is step 50; windows of 64 ms see it 3 steps before and after."""
    waveform = torch.zeros(FORMAT.segment_samples)
    waveform[8000:8160] = tone(1000.0)[:160]
    energy = LogMel(FORMAT)(waveform).mean(dim=0)
    assert abs(int(energy.argmax()) - 50) <= 1
    assert energy[:46].max() < 0.05
    assert energy[55:].max() < 0.05


def test_gradients_are_finite_everywhere() -> None:
    for waveform in (torch.zeros(FORMAT.segment_samples), tone(440.0), torch.ones(FORMAT.segment_samples)):
        waveform.requires_grad_()
        LogMel(FORMAT)(waveform).sum().backward()
        assert waveform.grad is not None
        assert waveform.grad.isfinite().all()
