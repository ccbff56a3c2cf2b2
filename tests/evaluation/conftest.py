"""Clips whose class is a faint pattern in frames and sound, and a tiny classifier really trained on them."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from preprocessing.schema import ClipFormat
from training.batch import Batch
from training.models import Classifier, ModelConfig

NUM_CLASSES = 4
FORMAT = ClipFormat(num_segments=3, segment_seconds=0.1, frame_size=16, num_mels=16, n_fft=256, hop_length=100)
CLASS_NAMES = ("blowing nose", "bowling", "playing drums", "playing <violin>")


def make_clips(num_clips: int, *, seed: int) -> Batch:
    """Noise with a class pattern: its amplitude is about the default epsilon's order, so attacks matter."""
    patterns = torch.Generator().manual_seed(99)
    video_patterns = torch.rand(NUM_CLASSES, 1, 3, FORMAT.frame_size, FORMAT.frame_size, generator=patterns) - 0.5
    audio_patterns = torch.rand(NUM_CLASSES, 1, FORMAT.num_mels, FORMAT.steps, generator=patterns) - 0.5
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(NUM_CLASSES, (num_clips,), generator=random)
    video = 0.5 + 0.25 * video_patterns[labels].expand(-1, FORMAT.num_segments, -1, -1, -1)
    audio = 0.5 + 0.25 * audio_patterns[labels].expand(-1, FORMAT.num_segments, -1, -1)
    return Batch(
        video=(video + 0.25 * torch.randn(video.shape, generator=random)).clamp(0, 1),
        audio=(audio + 0.25 * torch.randn(audio.shape, generator=random)).clamp(0, 1),
        labels=labels,
        keys=tuple(f"clip_{seed}_{number:04d}" for number in range(num_clips)),
    )


def split(clips: Batch, batch_size: int) -> list[Batch]:
    """The same clips in batches."""
    starts = range(0, len(clips), batch_size)
    return [
        Batch(
            video=clips.video[start : start + batch_size],
            audio=clips.audio[start : start + batch_size],
            labels=clips.labels[start : start + batch_size],
            keys=clips.keys[start : start + batch_size],
        )
        for start in starts
    ]


@pytest.fixture(scope="session")
def clips() -> Batch:
    """Clips that the model has not seen."""
    return make_clips(64, seed=1)


@pytest.fixture(scope="session")
def model() -> Classifier:
    """A tiny classifier trained for a second or two."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16).build(
            FORMAT, NUM_CLASSES
        )
    train_clips = make_clips(256, seed=0)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=5e-3)
    for _ in range(6):
        for batch in split(train_clips, 32):
            loss = functional.cross_entropy(classifier(batch.video, batch.audio).logits, batch.labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return classifier.eval()
