"""The classifiers that benchmarks/transfer.py attacks: trained once on its data set, kept for the next run."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from preprocessing.schema import load_index
from training.checkpoint import CheckpointInfo, save
from training.config import TrainConfig
from training.data import open_split
from training.loop import MIB, build_optimizer, train_epoch
from training.models import ModelConfig
from training.worker import Worker

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surrogate:
    """A finished classifier: attacks are made on it, and carried to the others of its seed."""

    name: str
    seed: int
    checkpoint: Path


def name_of(model: ModelConfig) -> str:
    """Encoders, fusion and width in a few letters, such as `tiny-concat-tiny-64`."""
    return f"{model.video_encoder}-{model.fusion}-{model.audio_encoder}-{model.feature_size}"


def trained(config: TrainConfig, folder: Path) -> Surrogate:
    """Train a classifier in this process unless `folder` holds it already.

    It is the project's training without Ray, validation and choice of an epoch: the last epoch is kept, so every split
    but the training split is unseen. The checkpoint's name holds a digest of all that decides its weights.
    """
    index = load_index(config.data)
    decides = json.dumps({**config.decides_result(), "dataset_sha256": index.content_sha256}, sort_keys=True)
    name = name_of(config.model)
    digest = hashlib.sha256(decides.encode()).hexdigest()[:8]
    surrogate = Surrogate(name, config.seed, folder / f"{name}-seed{config.seed}-{digest}")
    if surrogate.checkpoint.exists():
        return surrogate
    split = open_split(config.data, "train", cache_bytes=config.cache_mib * MIB)
    split.verify(split.shards)
    torch.manual_seed(config.seed)
    model = config.model.build(index.format, len(index.classes))
    optimizer = build_optimizer(config, model)
    worker = Worker(rank=0, world_size=1, device=torch.device("cpu"))
    metrics: dict[str, float] = {}
    for epoch in range(config.epochs):
        metrics = train_epoch(config, split, model, optimizer, worker, epoch=epoch)
    logger.info("trained %s, seed %d: loss %.3f", name, config.seed, metrics["train/loss"])
    info = CheckpointInfo(
        model=config.model,
        clip_format=index.format,
        classes=index.classes,
        dataset_sha256=index.content_sha256,
        epoch=config.epochs,
        metrics=metrics,
    )
    save(surrogate.checkpoint, model=model, info=info, config=config.model_dump(mode="json"), state={})
    return surrogate
