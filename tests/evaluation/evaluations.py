"""A small evaluation on real clips: a checkpoint trained for seconds, and settings that take seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from evaluation.config import EvaluateConfig
from preprocessing.storage.records import load_index
from training.attacks import FGSM, PGD
from training.checkpoint import CheckpointInfo, save
from training.data import evaluation_batches
from training.models import ModelConfig
from training.threat import ThreatModel


def trained_checkpoint(data: Path, folder: Path, *, seed: int = 0) -> Path:
    """A tiny classifier trained for a few seconds on the 24 training clips."""
    index = load_index(str(data))
    model_config = ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_config.build(index.format, len(index.classes))
    batches = list(evaluation_batches(str(data), "train", batch_size=8))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(12):
        for batch in batches:
            loss = functional.cross_entropy(model(batch.video, batch.audio).logits, batch.labels)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    info = CheckpointInfo(
        model=model_config,
        clip_format=index.format,
        classes=index.classes,
        dataset_sha256=index.content_sha256,
        epoch=1,
        metrics={},
    )
    save(folder, model=model, info=info, config={}, state={})
    return folder


def settings(checkpoint: Path, data: Path, output: Path, **changes: Any) -> EvaluateConfig:
    """24 clips in 4 batches of up to 7, two attacks, three points of the curve, and another attack on the curve and in
    single modalities: 11 measurements, 44 pieces."""
    return EvaluateConfig(
        **{
            "checkpoint": str(checkpoint),
            "data": str(data),
            "output": str(output),
            "threat": ThreatModel(video=8 / 255, audio=8 / 255),
            "attacks": (FGSM(), PGD(steps=4)),
            "reference_attack": PGD(steps=4),
            "curve_attacks": (PGD(steps=3, loss="margin"),),
            "curve": (0.0, 1.0, 4.0),
            "split": "train",
            "batch_size": 7,
            "num_resamples": 100,
        }
        | changes
    )
