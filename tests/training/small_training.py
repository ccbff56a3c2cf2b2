"""A training of two epochs of three steps, and its learner."""

from __future__ import annotations

from pathlib import Path

from training.attacks import PGD
from training.config import TrainConfig, ValidationConfig
from training.data import open_split
from training.epoch import train_epoch
from training.learner import Learner
from training.models import ModelConfig
from training.objectives import Standard
from training.run_folder import Metrics
from training.workers.worker import ALONE


def settings(data: Path, **changes: object) -> TrainConfig:
    """Two epochs of 3 steps."""
    values = {
        "data": str(data),
        "output": "unused",
        "model": ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=16),
        "epochs": 2,
        "batch_size": 8,
        "objective": Standard(),
        "validation": ValidationConfig(attacks=(PGD(steps=1),)),
        **changes,
    }
    return TrainConfig.model_validate(values)


def build(config: TrainConfig) -> Learner:
    return Learner.of(config, open_split(config.data, "train"))


def run_epoch(config: TrainConfig, learner: Learner, epoch: int) -> Metrics:
    return train_epoch(config, open_split(config.data, "train"), learner, ALONE, epoch=epoch)
