"""Small models really trained on clips in memory, one of them with batch normalisation, and checkpoints on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from evaluation.transfer.measurement import NamedModels
from tests.evaluation.conftest import FORMAT, NUM_CLASSES, make_clips, train_briefly
from tests.evaluation.evaluations import trained_checkpoint
from training.models import Classifier, ModelConfig
from training.models.foreign import state_sha256


def trained(seed: int, *, encoder: str = "tiny", fusion: str = "concat") -> Classifier:
    """A classifier of 256 clips with the class's pattern."""
    config = ModelConfig.model_validate(
        {"video_encoder": encoder, "audio_encoder": "tiny", "fusion": fusion, "feature_size": 16}
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = config.build(FORMAT, NUM_CLASSES)
        train_briefly(classifier, make_clips(256, seed=0))
    return classifier


def named(models: Mapping[str, Classifier]) -> NamedModels:
    """The same as tasks get them."""
    return NamedModels(models, {name: state_sha256(model) for name, model in models.items()})


@pytest.fixture(scope="session")
def three_models() -> NamedModels:
    """Tiny classifiers of three seeds."""
    return named({"A": trained(1), "B": trained(2), "C": trained(3)})


@pytest.fixture(scope="session")
def checkpoints(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Folders of three trained checkpoints: `one`, `two` and `three`."""
    folder = tmp_path_factory.mktemp("transfer_models")
    return tuple(
        str(trained_checkpoint(tiny_dataset, folder / name / "checkpoint", seed=seed))
        for seed, name in enumerate(("one", "two", "three"))
    )
