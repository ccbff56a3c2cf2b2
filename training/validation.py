"""Validation: clean and robust accuracy of an epoch's model."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool
from torch import Tensor

from training.batch import Batch
from training.config import TrainConfig
from training.data import StoredSplit, evaluation_batches
from training.metrics import Means, ModalityGap
from training.models import Classifier
from training.models.classifier import predicted_classes
from training.run_folder import Metrics
from training.workers.worker import Worker

VALIDATION_BATCHES = 12
"""At least so many, so that 2, 3, 4, 6 or 12 workers have equal portions; smaller batches would cost more per clip."""


def validate(config: TrainConfig, split: StoredSplit, model: Classifier, worker: Worker) -> Metrics:
    """Clean and worst-case robust accuracy and modality gap on the validation split, each clip seen by one worker."""
    settings = config.validation
    num_clips = min(len(split), settings.limit or len(split))
    batch_size = min(config.batch_size, math.ceil(num_clips / VALIDATION_BATCHES))
    batches = evaluation_batches(
        config.data,
        "validation",
        batch_size=batch_size,
        rank=worker.rank,
        world_size=worker.world_size,
        limit=settings.limit,
        stored=split,
        device=worker.device,
        threads=config.loader_threads,
    )
    generator = torch.Generator().manual_seed(config.seed)
    means, gap = Means("clean_accuracy", "robust_accuracy"), ModalityGap(config.model.feature_size)
    model.eval()
    num_batches = math.ceil(math.ceil(num_clips / batch_size) / worker.world_size)
    for batch in worker.announced(batches, total=num_batches, what="validation: batch"):
        with torch.no_grad():
            outputs = model(batch.video, batch.audio)
        gap.add(outputs)
        is_clean_right = predicted_classes(outputs.logits) == batch.labels
        is_robust = is_clean_right
        for attack in settings.attacks:
            is_robust = is_robust & is_right(model, attack(model, batch, settings.threat, generator))
        accuracies = {"clean_accuracy": is_clean_right, "robust_accuracy": is_robust}
        means.add({name: right.double().mean() for name, right in accuracies.items()}, weight=len(batch))
    found = means.reduce(worker.device) | gap.reduce(worker.device)
    return {f"validation/{name}": value for name, value in found.items()}


@torch.no_grad()
def is_right(model: Classifier, batch: Batch) -> Bool[Tensor, " batch"]:
    """Clips that the model classifies correctly, as truths; one whose logits are not finite is wrong."""
    return predicted_classes(model(batch.video, batch.audio).logits) == batch.labels
