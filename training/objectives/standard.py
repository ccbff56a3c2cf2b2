"""Standard training: cross-entropy on clean clips."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import nn

from training.batch import Batch
from training.objectives.base import Classifying, LossOf, SingleUpdate


class Standard(Classifying, SingleUpdate):
    """Empirical risk minimisation without any defence.

    Costs 1 forward and 1 backward pass per batch.
    """

    name: Literal["standard"] = "standard"

    def prepare(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> LossOf:
        """Cross-entropy on the batch as it is."""
        return partial(self.classification, batch=batch)
