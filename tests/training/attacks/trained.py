"""Two small classifiers that have learnt the same four classes, to see who is fooled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from preprocessing.schema import ClipFormat
from training.attacks import Attack
from training.attacks.engine.randomness import uniform_like
from training.batch import Batch
from training.models import Classifier, ModelConfig
from training.threat import ThreatModel

THREAT = ThreatModel(video=24 / 255, audio=24 / 255)
NUM_CLASSES = 4


@dataclass(frozen=True)
class Trained:
    """What an attacker has, whom the clips are meant for, and clips that neither has seen."""

    surrogate: Classifier
    stranger: Classifier
    clips: Batch

    def accuracies(self, clips: Batch) -> tuple[float, float]:
        """Share of clips that the surrogate and the stranger get right."""
        with torch.no_grad():
            right = [
                model(clips.video, clips.audio).logits.argmax(1) == clips.labels
                for model in (self.surrogate, self.stranger)
            ]
        return float(right[0].float().mean()), float(right[1].float().mean())

    def under(self, attack: Attack) -> tuple[float, float]:
        """The same after an attack on the surrogate."""
        return self.accuracies(attack(self.surrogate, self.clips, THREAT, torch.Generator().manual_seed(0)))

    def under_noise(self) -> tuple[float, float]:
        """The same after every value was moved by its whole budget at random."""
        source = torch.Generator().manual_seed(0)
        clips = self.clips
        moved = clips.with_streams(
            clips.video + THREAT.video * uniform_like(clips.video, clips.keys, source, "video").sign(),
            clips.audio + THREAT.audio * uniform_like(clips.audio, clips.keys, source, "audio").sign(),
        )
        return self.accuracies(THREAT.project(moved, around=clips))


@cache
def trained() -> Trained:
    """Train both from different weights on different clips, in about a second each."""
    return Trained(_trained(1), _trained(2), synthetic_clips(64, seed=3))


def trained_classifier() -> tuple[Classifier, Batch]:
    """One of them, and the clips, each with a wrong class as its target."""
    clips = trained().clips
    return trained().surrogate, clips.with_targets((clips.labels + 1) % NUM_CLASSES)


def synthetic_clips(num_clips: int, *, seed: int) -> Batch:
    """Classes are textures of frames and patches that come and go from segment to segment, in noise."""
    prototypes = torch.Generator().manual_seed(0)
    frames = torch.rand(NUM_CLASSES, 1, 3, 16, 16, generator=prototypes)
    patches = torch.rand(NUM_CLASSES, 1, 16, 16, generator=prototypes)
    source = torch.Generator().manual_seed(seed)
    labels = torch.randint(NUM_CLASSES, (num_clips,), generator=source)
    strength = 0.1 + 0.2 * torch.rand(num_clips, 4, 1, 1, generator=source)
    video = 0.5 + strength[..., None] * (frames[labels] - 0.5)
    audio = 0.5 + strength * (patches[labels] - 0.5)
    video += 0.1 * torch.randn(video.shape, generator=source)
    audio += 0.1 * torch.randn(audio.shape, generator=source)
    keys = tuple(f"clip_{number}" for number in range(num_clips))
    return Batch(video.clamp(0, 1), audio.clamp(0, 1), labels, keys)


def _trained(seed: int) -> Classifier:
    clips = synthetic_clips(48, seed=10 + seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        clip_format = ClipFormat(num_segments=4, segment_seconds=0.16, frame_size=16, num_mels=16)
        config = ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16)
        model = config.build(clip_format, NUM_CLASSES)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(20):
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(model(clips.video, clips.audio).logits, clips.labels))
        optimizer.step()
    return model.eval()
