"""A checkpoint of a small untrained model for the clips of `tiny_dataset`, made in milliseconds."""

from __future__ import annotations

from pathlib import Path

import torch

from preprocessing.schema import ClipFormat
from tests.tiny_video import TINY_CLASSES
from training.checkpoint import CheckpointInfo, save
from training.models import Classifier, ModelConfig

TINY_FORMAT = ClipFormat(num_segments=4, segment_seconds=0.5, frame_size=32, num_mels=32)
TINY_MODEL = ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=16)
RESNET = ModelConfig(video_encoder="resnet18", audio_encoder="tiny", fusion="concat", feature_size=16)
"""A model with batch normalisation, whose statistics are not those that it begins with."""


def write_checkpoint(folder: Path, config: ModelConfig = TINY_MODEL, *, scale: float = 1.0) -> Classifier:
    """Write a checkpoint whose logits are multiplied by `scale`, and return its model in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = config.build(TINY_FORMAT, len(TINY_CLASSES))
        for layer in model.modules():
            if isinstance(layer, torch.nn.BatchNorm2d) and layer.running_mean is not None:
                layer.running_mean.normal_()
    with torch.no_grad():
        for parameter in model.fusion.parameters():
            parameter.mul_(scale)
    info = CheckpointInfo(
        model=config,
        clip_format=TINY_FORMAT,
        classes=TINY_CLASSES,
        dataset_sha256="ab" * 32,
        epoch=1,
        metrics={"validation/robust_accuracy": 0.5},
        objective="standard",
    )
    state = {"optimizer": {"moments": [torch.zeros_like(each) for each in model.parameters()] * 2}}
    save(folder, model=model, info=info, config={"objective": {"name": "standard"}}, state=state)
    return model.eval()
