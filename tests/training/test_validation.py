from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.training.small_training import build, settings
from training.attacks import PGD
from training.config import ValidationConfig
from training.data import open_split
from training.threat import ThreatModel
from training.validation import validate
from training.workers.worker import ALONE, Worker


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_validation_shared_among_workers_measures_the_same(tiny_dataset: Path, world_size: int) -> None:
    """8 clips: the weighted mean of what each worker finds by itself is what one worker finds."""
    config = settings(tiny_dataset)
    model = build(config).classifier
    split = open_split(config.data, "validation")
    alone = validate(config, split, model, ALONE)
    right = 0.0
    for rank in range(world_size):
        num_clips = (rank + 1) * 8 // world_size - rank * 8 // world_size
        shared = validate(config, split, model, Worker(rank, world_size, torch.device("cpu")))
        right += shared["validation/robust_accuracy"] * num_clips
    assert right / 8 == pytest.approx(alone["validation/robust_accuracy"])


def test_a_clip_is_robust_only_if_it_withstands_every_attack(tiny_dataset: Path) -> None:
    model = build(settings(tiny_dataset)).classifier
    split = open_split(str(tiny_dataset), "validation")
    threat = ThreatModel(video=0.2, audio=0.2)

    def robust_accuracy(*attacks: PGD) -> float:
        config = settings(tiny_dataset, validation=ValidationConfig(attacks=attacks, threat=threat))
        return validate(config, split, model, ALONE)["validation/robust_accuracy"]

    weak, strong = PGD(steps=1), PGD(steps=5)
    assert robust_accuracy(weak, strong) <= min(robust_accuracy(weak), robust_accuracy(strong))


def test_a_limit_measures_the_first_clips_only(tiny_dataset: Path) -> None:
    config = settings(tiny_dataset, validation=ValidationConfig(attacks=(PGD(steps=1),), limit=1))
    model = build(config).classifier
    found = validate(config, open_split(config.data, "validation"), model, ALONE)
    assert found["validation/clean_accuracy"] in (0.0, 1.0)


def test_a_clip_without_finite_scores_is_wrong(tiny_dataset: Path) -> None:
    """torch takes a NaN for the largest score, which would make every clip of the first class right.

    The metrics stay finite numbers: a checkpoint holds no others.
    """
    model = build(settings(tiny_dataset)).classifier
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    found = validate(settings(tiny_dataset), open_split(str(tiny_dataset), "validation"), model, ALONE)
    assert found == dict.fromkeys(
        (
            "validation/clean_accuracy",
            "validation/robust_accuracy",
            "validation/modality_gap",
            "validation/modality_agreement",
        ),
        0.0,
    )
