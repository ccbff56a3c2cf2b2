"""Trainings that take seconds on Ray, and what tests look at of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import torch
from ray.util.state import list_actors

from training.attacks import PGD
from training.checkpoint import load_model
from training.config import TrainConfig, ValidationConfig
from training.models import ModelConfig
from training.optimization import OptimizerConfig
from training.run import TrainResult
from training.run_folder import Metrics, RunFolder

EPOCHS = 4
Run = tuple[TrainConfig, TrainResult]


def settings(data: Path | str, output: Path, **changes: object) -> TrainConfig:
    """A training that takes seconds: 24 clips, 4 epochs of 3 steps."""
    values = {
        "data": str(data),
        "output": str(output),
        "model": ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=16),
        "epochs": EPOCHS,
        "batch_size": 8,
        "workers": 2,
        "optimizer": OptimizerConfig(learning_rate=5e-3),
        "validation": ValidationConfig(attacks=(PGD(steps=2),)),
        **changes,
    }
    return TrainConfig.model_validate(values)


def losses(result: TrainResult) -> list[float]:
    return [metrics["train/loss"] for metrics in result.history]


def weights(result: TrainResult) -> dict[str, torch.Tensor]:
    return load_model(result.checkpoint)[0].state_dict()


def untimed(history: list[Metrics]) -> list[Metrics]:
    return [{key: value for key, value in each.items() if not key.startswith("time/")} for each in history]


def kill_a_worker_midway(
    folder: RunFolder, is_time: Callable[[int, int], bool] = lambda epochs, step: bool(epochs and step)
) -> None:
    """SIGKILL one training worker when it is time: unless told otherwise, an epoch is stored, and steps of the next.

    It is held before it is killed, so that the others, who wait for it, cannot finish the epoch meanwhile.
    """
    pid = None
    while pid is None:
        alive = list_actors(filters=[("state", "=", "ALIVE")], detail=True)
        pid = next((actor.pid for actor in alive if actor.class_name == "RayTrainWorker"), None)
    while True:
        if is_time(*folder.newest()):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.05)
            if is_time(*folder.newest()):
                break
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
