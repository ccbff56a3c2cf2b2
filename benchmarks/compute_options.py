"""What other arithmetic and another memory layout make of a training step, beside the plain float32 one.

A step of PGD-AT with five attack steps, from the stored clip to the moved weights, two ResNet-18. CPU seconds of one
thread, all options in turns in one run; a ratio is the median over the rounds. On a processor without instructions for
bfloat16 it may be far above 1. Nothing here says anything about a GPU.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.clips import write_clips
from benchmarks.row import Row
from preprocessing.schema import ClipFormat
from training.attacks import PGD
from training.config import TrainConfig
from training.data import StoredSplit, open_split
from training.epoch import train_epoch
from training.learner import Learner
from training.models import ModelConfig
from training.objectives import PGDAT
from training.workers.worker import ALONE

ROUNDS = 5
NUM_CLIPS = 4
FORMAT = ClipFormat(num_segments=2, segment_seconds=0.5, frame_size=112, num_mels=64)
MODEL = ModelConfig(feature_size=128)
OPTIONS: dict[str, dict[str, object]] = {
    "plain": {},
    "channels_last": {"channels_last": True},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16_channels_last": {"precision": "bfloat16", "channels_last": True},
}
"""The settings of each; the others are compared with the first."""


class Training:
    """A training that goes on epoch by epoch, each of one step."""

    def __init__(self, split: StoredSplit, config: TrainConfig) -> None:
        self._split = split
        self._config = config
        self._learner = Learner.of(config, split)

    def step(self, number: int) -> tuple[float, float]:
        """CPU seconds and loss of the step of this number."""
        before = time.process_time()
        metrics = train_epoch(self._config, self._split, self._learner, ALONE, epoch=number)
        return time.process_time() - before, metrics["train/loss"]


def rows() -> list[Row]:
    """A row for each option."""
    torch.set_num_threads(1)
    return measure(FORMAT, MODEL, rounds=ROUNDS)


def measure(clip_format: ClipFormat, model: ModelConfig, *, rounds: int) -> list[Row]:
    """Each option's step beside the plain one; the first round only warms up."""
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
        write_clips(Path(folder), clip_format, num_train=NUM_CLIPS)
        split = open_split(folder, "train", cache_bytes=2**30)
        trainings = {
            name: Training(split, settings(folder, model, epochs=rounds + 1, **changes))
            for name, changes in OPTIONS.items()
        }
        found = [{name: each.step(number) for name, each in trainings.items()} for number in range(rounds + 1)]
    seconds = {name: [each[name][0] for each in found[1:]] for name in OPTIONS}
    losses = {name: found[0][name][1] for name in OPTIONS}
    plain = seconds.pop("plain")
    return [
        Row(
            f"{name}_step_vs_plain",
            statistics.median(one / other for one, other in zip(mine, plain, strict=True)),
            "1.00 or less",
            {
                "cpu_ms": 1000 * statistics.median(mine),
                "plain_cpu_ms": 1000 * statistics.median(plain),
                "first_loss": losses[name],
                "plain_first_loss": losses["plain"],
                "model": model.video_encoder,
                "clips": NUM_CLIPS,
                "segments": clip_format.num_segments,
                "frame_size": clip_format.frame_size,
            },
        )
        for name, mine in seconds.items()
    ]


def settings(data: str, model: ModelConfig, **changes: object) -> TrainConfig:
    """PGD-AT on all clips at once, read in the thread that trains."""
    values = {"data": data, "output": "unused", "model": model, "objective": PGDAT(attack=PGD(steps=5))}
    return TrainConfig.model_validate(values | {"batch_size": NUM_CLIPS, "loader_threads": 0} | changes)
