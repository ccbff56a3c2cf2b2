"""What a training's memory layout and precision cost on this machine: epochs of PGD-AT beside plain ones, in turns."""

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
from training.loop import MIB, train_epoch
from training.models import ModelConfig
from training.objectives import PGDAT
from training.worker import Worker

ROUNDS = 5
FORMAT = ClipFormat(num_segments=8, segment_seconds=0.5, frame_size=32, num_mels=64)
MODELS = {
    "tiny": (ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=64), 64),
    "resnet18": (ModelConfig(video_encoder="resnet18", audio_encoder="resnet18", feature_size=64), 4),
}
"""Classifiers, and clips in an epoch."""
OPTIONS: dict[str, dict[str, object]] = {
    "plain": {},
    "channels_last": {"channels_last": True},
    "bfloat16": {"precision": "bfloat16"},
}


def rows() -> list[Row]:
    """One row per classifier and option."""
    torch.set_num_threads(1)
    return [row for name in MODELS for row in _rows_of(name)]


def _rows_of(name: str) -> list[Row]:
    model, num_clips = MODELS[name]
    found: dict[str, list[float]] = {option: [] for option in OPTIONS}
    with tempfile.TemporaryDirectory() as folder:
        write_clips(Path(folder), FORMAT, num_train=num_clips)
        split = open_split(folder, "train", cache_bytes=256 * MIB)
        for _ in range(ROUNDS):
            for option, measured in found.items():
                measured.append(_epoch_seconds(split, model, num_clips, OPTIONS[option]))
    medians = {option: statistics.median(measured[1:]) for option, measured in found.items()}
    return [
        Row(f"training with {option} ({name})", medians[option] / medians["plain"], "1.00 or less", {"cpu_s": medians})
        for option in OPTIONS
        if option != "plain"
    ]


def _epoch_seconds(split: StoredSplit, model: ModelConfig, num_clips: int, option: dict[str, object]) -> float:
    """CPU seconds of one epoch of two steps."""
    settings = {"data": "data", "output": "output", "model": model, "batch_size": num_clips // 2, "epochs": 1}
    config = TrainConfig.model_validate({**settings, "objective": PGDAT(attack=PGD(steps=5)), **option})
    classifier = config.build_model(split.index.format, len(split.index.classes))
    worker = Worker(rank=0, world_size=1, device=torch.device("cpu"))
    started = time.process_time()
    train_epoch(config, split, classifier, config.optimizer.build(classifier), worker, epoch=0)
    return time.process_time() - started
