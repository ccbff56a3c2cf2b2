"""Small random clips and a small random classifier for the tests of training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from preprocessing.schema import ClipFormat
from training.batch import Batch
from training.checkpoint import CheckpointInfo
from training.models import Classifier, ModelConfig

if TYPE_CHECKING:
    from tests.training.gloo_workers import GlooWorkers
    from tests.training.small_runs import Run

NUM_CLASSES = 4


@pytest.fixture(scope="session")
def clip_format() -> ClipFormat:
    """Four segments of 0.16 s: 16 px frames and 16 x 16 log-mel patches."""
    return ClipFormat(num_segments=4, segment_seconds=0.16, frame_size=16, num_mels=16)


@pytest.fixture
def model(clip_format: ClipFormat) -> Classifier:
    """A tiny classifier with fixed random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16)
        return config.build(clip_format, NUM_CLASSES)


@pytest.fixture
def batch() -> Batch:
    """Seven random clips."""
    return random_batch(7)


@pytest.fixture
def generator() -> torch.Generator:
    """A generator with seed 0."""
    return torch.Generator().manual_seed(0)


def random_batch(num_clips: int, num_segments: int = 4) -> Batch:
    """Uniform noise in [0, 1] with some values on the border."""
    source = torch.Generator().manual_seed(1)
    video = (torch.rand(num_clips, num_segments, 3, 16, 16, generator=source) * 1.2 - 0.1).clamp(0, 1)
    audio = (torch.rand(num_clips, num_segments, 16, 16, generator=source) * 1.2 - 0.1).clamp(0, 1)
    labels = torch.randint(NUM_CLASSES, (num_clips,), generator=source)
    return Batch(video, audio, labels, tuple(f"clip_{number}" for number in range(num_clips)))


@pytest.fixture
def restored_random_state() -> Iterator[None]:
    """Puts the global random state back: attacks of other libraries draw from it and seed it."""
    with torch.random.fork_rng():
        yield


@pytest.fixture(scope="session")
def gloo_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GlooWorkers]:
    """Up to four real processes that exchange by gloo, shared by all tests."""
    from tests.training.gloo_workers import GlooWorkers

    with GlooWorkers(4, tmp_path_factory.mktemp("gloo_workers")) as workers:
        yield workers


@pytest.fixture(scope="session")
def two_workers(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A curriculum training by two workers, shared by all tests that only look at it."""
    from tests.training.small_runs import settings
    from training.run import train

    config = settings(tiny_dataset, tmp_path_factory.mktemp("two_workers"))
    return config, train(config)


@pytest.fixture
def info(clip_format: ClipFormat) -> CheckpointInfo:
    """The record of a checkpoint of `model`."""
    return CheckpointInfo(
        model=ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16),
        clip_format=clip_format,
        classes=("drums", "organ", "piano", "violin"),
        dataset_sha256="0" * 64,
        epoch=3,
        metrics={"validation/robust_accuracy": 0.5},
    )
