"""Standard training: cross-entropy on clean clips."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from training.batch import Batch
from training.objectives.base import Loss, Objective, classification


class Standard(Objective):
    """Empirical risk minimisation without any defence; costs one pass per batch."""

    name: Literal["standard"] = "standard"

    def __call__(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> Loss:
        """Cross-entropy on the batch as it is."""
        return classification(model, batch)
