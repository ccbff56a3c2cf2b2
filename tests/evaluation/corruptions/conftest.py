"""Real decoded clips, clips of other sizes, and a checkpoint really trained on the tiny data set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.corruptions.config import CorruptionsConfig
from evaluation.corruptions.kinds.base import Clip
from evaluation.corruptions.measurement import clips_of
from preprocessing.storage.records import load_index
from tests.evaluation.evaluations import trained_checkpoint
from training.batch import Batch
from training.data import evaluation_batches


@pytest.fixture(scope="session")
def stored_batch(tiny_dataset: Path) -> Batch:
    """The eight test clips of the tiny data set with their waveforms: 4 segments of 0.5 s, frames of 32 pixels."""
    return next(evaluation_batches(str(tiny_dataset), "test", batch_size=8, audio_domain="waveform"))


@pytest.fixture(scope="session")
def stored_clips(stored_batch: Batch, tiny_dataset: Path) -> list[Clip]:
    """One clip of each class."""
    return clips_of(stored_batch, load_index(str(tiny_dataset)).format)[::2]


def made_clip(
    height: int = 32, width: int = 32, *, num_samples: int = 16_000, key: str = "a clip", num_segments: int = 8
) -> Clip:
    """A still picture of soft colours, and a tone in noise at a tenth of full scale."""
    random = np.random.default_rng([height, width])
    coarse = random.uniform(0.1, 0.9, (3, 4, 4))
    picture = np.kron(coarse, np.ones((-(-height // 4), -(-width // 4))))[:, :height, :width]
    seconds = np.arange(num_samples) / 16_000
    wave = 0.1 * np.sin(2.0 * np.pi * 440.0 * seconds) + 0.02 * random.standard_normal(num_samples)
    return Clip(
        video=np.repeat(picture[None], num_segments, 0).astype(np.float32),
        waveform=wave.astype(np.float32),
        sample_rate_hz=16_000,
        segment_seconds=num_samples / 16_000 / num_segments,
        key=key,
    )


def silent(clip: Clip) -> Clip:
    """The same clip in digital silence."""
    return replace(clip, waveform=np.zeros_like(clip.waveform))


@pytest.fixture(scope="session")
def checkpoint(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny classifier trained for a second on the 24 training clips."""
    return trained_checkpoint(tiny_dataset, tmp_path_factory.mktemp("corrupted_model") / "checkpoint")


@pytest.fixture(scope="session")
def small_config(checkpoint: Path, tiny_dataset: Path) -> CorruptionsConfig:
    """Two corruptions and a masking at two severities, on the eight test clips in batches of three."""
    return CorruptionsConfig(
        checkpoint=str(checkpoint),
        data=str(tiny_dataset),
        output="report",
        corruptions=("gaussian", "rain", "synchronous_masking"),
        severities=(1, 5),
        batch_size=3,
        num_resamples=100,
    )
