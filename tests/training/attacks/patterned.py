"""A classifier sure of 64 clips, some near its boundaries and some far, as attacks of minimal size need them."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from tests.training.attacks.targets import FORMAT, NUM_CLASSES, classifier
from training.batch import Batch
from training.models import Classifier


@cache
def trained_classifier(fusion: str = "sum", seed: int = 0) -> tuple[Classifier, Batch]:
    """A tiny classifier in evaluation mode, single precision, and 64 clips that it mostly gets right.

    Each class has its own faint pattern in picture and sound, under noise.
    """
    clips = noisy_patterns(64, seed=1)
    network = classifier(fusion, seed=seed).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for step in range(60):
            batch = noisy_patterns(64, seed=100 + step)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(batch.video, batch.audio).logits, batch.labels)
            torch.autograd.backward(loss)
            optimizer.step()
    return network.eval(), clips


def noisy_patterns(num_clips: int, *, seed: int) -> Batch:
    """Clips of all classes in turn."""
    patterns = torch.Generator().manual_seed(0)
    video_pattern = torch.randn(NUM_CLASSES, 1, 3, 8, 8, generator=patterns)
    audio_pattern = torch.randn(NUM_CLASSES, 1, 8, FORMAT.steps, generator=patterns)
    noise = torch.Generator().manual_seed(seed)
    labels = torch.arange(num_clips) % NUM_CLASSES
    video = 0.5 + 0.05 * video_pattern[labels] + 0.1 * torch.randn(num_clips, 4, 3, 8, 8, generator=noise)
    audio = 0.5 + 0.05 * audio_pattern[labels] + 0.1 * torch.randn(num_clips, 4, 8, FORMAT.steps, generator=noise)
    keys = tuple(f"clip_{seed}_{number}" for number in range(num_clips))
    return Batch(video.clamp(0, 1), audio.clamp(0, 1), labels, keys, (labels + 1) % NUM_CLASSES)
