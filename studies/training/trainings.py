"""Classifiers that studies train and compare: each is trained once, in one process, and kept for the next run."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from preprocessing.storage.provenance import Provenance, device_name
from preprocessing.storage.records import load_index
from training.checkpoint import CheckpointInfo, save
from training.config import TrainConfig
from training.data import MIB, open_split
from training.epoch import train_epoch
from training.learner import Learner
from training.workers.worker import ALONE

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """A finished classifier and what it has cost in passes."""

    name: str
    seed: int
    checkpoint: Path
    passes: float
    """Per training clip, over the whole training: the mean of forward and backward passes over all its segments."""


@dataclass(frozen=True)
class Training:
    """A training that is wanted under a name."""

    name: str
    config: TrainConfig


def trained(training: Training, folder: Path) -> Trained:
    """Train a classifier in this process unless `folder` holds it already.

    It is the project's training without Ray, validation and choice of an epoch: the last epoch is kept, so every split
    but the training split is unseen. The checkpoint's name holds a digest of all that decides its weights.
    """
    config = training.config
    index = load_index(config.data)
    decides = json.dumps({**config.fingerprint(), "dataset_sha256": index.content_sha256}, sort_keys=True)
    digest = hashlib.sha256(decides.encode()).hexdigest()[:8]
    checkpoint = folder / f"{training.name.replace(' ', '-')}-seed{config.seed}-{digest}"
    if not checkpoint.exists():
        _train(training, checkpoint)
    num_clips, num_segments = index.num_clips["train"], index.format.num_segments
    cost = passes(config, num_clips, num_segments, epochs=range(config.epochs))
    return Trained(training.name, config.seed, checkpoint, cost)


def _train(training: Training, checkpoint: Path) -> None:
    config = training.config
    index, split = load_index(config.data), open_split(config.data, "train", cache_bytes=config.cache_mib * MIB)
    split.verify(split.shards)
    learner = Learner.of(config, split)
    metrics: dict[str, float] = {}
    for epoch in range(config.epochs):
        metrics = train_epoch(config, split, learner, ALONE, epoch=epoch)
    logger.info("trained %s, seed %d: loss %.3f", training.name, config.seed, metrics["train/loss"])
    info = CheckpointInfo(
        model=config.model,
        clip_format=index.format,
        classes=index.classes,
        dataset_sha256=index.content_sha256,
        epoch=config.epochs,
        metrics=metrics,
        objective=config.objective.name,
        provenance=Provenance.on(device_name("cpu")),
    )
    save(checkpoint, model=learner.exported_model, info=info, config=config.model_dump(mode="json"), state={})


def passes(config: TrainConfig, num_clips: int, num_segments: int, *, epochs: Iterable[int]) -> float:
    """What the objective says that these epochs cost per clip: the mean of forward and backward passes."""
    num_steps = num_clips // config.batch_size
    costs = [
        config.objective.cost(
            progress=(epoch * num_steps + step) / (config.epochs * num_steps), num_segments=num_segments
        )
        for epoch in epochs
        for step in range(num_steps)
    ]
    return config.batch_size / num_clips * sum(cost.forward + cost.backward for cost in costs) / 2
