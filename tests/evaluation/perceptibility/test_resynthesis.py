from __future__ import annotations

import torch

from evaluation.perceptibility.measures import log_spectral_distance_db
from evaluation.perceptibility.resynthesis import resynthesised
from preprocessing.logmel import LogMel
from preprocessing.schema import ClipFormat

FORMAT = ClipFormat(num_segments=4, segment_seconds=0.5, frame_size=32, num_mels=64)


def chord() -> torch.Tensor:
    times = torch.arange(32_000) / 16_000
    return sum(
        (0.15 * torch.sin(2 * torch.pi * pitch * times) for pitch in (330.0, 1000.0, 2400.0)), torch.zeros(32_000)
    )


def test_a_resynthesised_sound_has_nearly_the_patches_that_it_was_made_of() -> None:
    """Nearer than the same sound turned round in time, whose spectrum is alike, and far nearer than silence."""
    noise = 0.1 * torch.randn(32_000, generator=torch.Generator().manual_seed(0))
    fading = (chord() + noise) * torch.linspace(1.0, 0.02, 32_000)
    patches = LogMel(FORMAT)(fading.reshape(4, 8000))
    sound = resynthesised(patches, FORMAT)
    assert sound.shape == (32_000,)
    assert sound.abs().max() <= 1.0

    def distance(other: torch.Tensor) -> float:
        return log_spectral_distance_db(LogMel(FORMAT)(other.reshape(4, 8000))[None], patches[None])[0]

    assert distance(sound) < 8.0
    assert distance(fading.flip(0)) > distance(sound)
    assert distance(torch.zeros(32_000)) > 3 * distance(sound)


def test_the_same_patches_give_the_same_sound_whatever_was_drawn_before() -> None:
    patches = LogMel(FORMAT)(chord().reshape(4, 8000))
    first = resynthesised(patches, FORMAT)
    torch.rand(3)
    assert torch.equal(resynthesised(patches, FORMAT), first)


def test_silence_stays_silent() -> None:
    assert resynthesised(torch.zeros(4, 64, FORMAT.steps), FORMAT).abs().max() < 1e-6
