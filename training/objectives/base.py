"""What an objective is: everything in which training methods differ, so that there is one loop."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from preprocessing.schema import Settings
from training.batch import Batch


@dataclass(frozen=True)
class Loss:
    """What to minimise, and what to log beside it."""

    total: Tensor
    """Scalar with a graph, averaged over the batch."""
    parts: dict[str, Tensor]
    """Detached scalars by name."""


class Objective(Settings):
    """Numbers plus a call: owns its attack, threat model and curriculum."""

    name: str

    @abstractmethod
    def __call__(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> Loss:
        """The loss of `model` on `batch`.

        Args:
            model: the classifier or its distributed wrapper, whose gradients are synchronised in the last forward only.
            batch: clean clips.
            progress: share of training that is done, in [0, 1]; moves curricula.
            generator: its initial seed and the clips' keys decide all randomness.
        """

    def settings_at(self, progress: float) -> dict[str, float]:
        """What the curriculum has set at `progress`, for the log."""
        return {}


def bare(model: nn.Module) -> nn.Module:
    """The module inside a distributed wrapper: crafting must neither synchronise nor count gradients."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def classification(model: nn.Module, batch: Batch) -> Loss:
    """Mean cross-entropy, with the batch's accuracy beside it."""
    logits = model(batch.video, batch.audio).logits
    total = functional.cross_entropy(logits, batch.labels)
    accuracy = (logits.argmax(1) == batch.labels).float().mean()
    return Loss(total, {"cross_entropy": total.detach(), "accuracy": accuracy.detach()})
