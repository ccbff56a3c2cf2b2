"""Optimizer, learning-rate schedule, and exponential moving average of the weights."""

from __future__ import annotations

import copy
import math
from typing import Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import nn

from preprocessing.settings import Settings
from training.models import Classifier


class OptimizerConfig(Settings):
    """Optimizer and learning rate, which rises over the warm-up and falls to zero afterwards."""

    name: Literal["adamw", "sgd"] = "adamw"
    """`adamw` (Loshchilov & Hutter 2019, arXiv:1711.05101), or `sgd` with Nesterov momentum 0.9."""
    learning_rate: PositiveFloat = 1e-3
    """Highest learning rate."""
    schedule: Literal["cosine", "one_cycle"] = "cosine"
    """Decay of the learning rate: along half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983), or in a straight
    line, one cycle (Smith & Topin 2018, arXiv:1708.07120), which Fast-AT trains by with its peak at a `warmup` of
    0.4."""
    weight_decay: NonNegativeFloat = 1e-2
    """Decay of weights per unit of learning rate."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Share of training over which the learning rate rises."""
    average_decay: float | None = Field(default=None, gt=0, lt=1)
    """Share of the averaged weights that each step keeps, such as 0.999; unset = no average. With it validation, the
    choice of the best epoch and the stored model are about the averaged weights (Izmailov et al. 2018,
    arXiv:1803.05407; in adversarial training Rebuffi et al. 2021, arXiv:2103.01946). Learning goes on from the others.
    """

    def rate_at(self, progress: float) -> float:
        """The learning rate at `progress` in [0, 1]."""
        if progress < self.warmup:
            return self.learning_rate * progress / self.warmup
        share = (progress - self.warmup) / (1.0 - self.warmup)
        left = 1.0 - share if self.schedule == "one_cycle" else (1.0 + math.cos(math.pi * share)) / 2.0
        return self.learning_rate * left

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of the model's weights; its learning rate is set before every step."""
        rate, decay = self.learning_rate, self.weight_decay
        match self.name:
            case "adamw":
                return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
            case "sgd":
                return torch.optim.SGD(model.parameters(), lr=rate, weight_decay=decay, momentum=0.9, nesterov=True)

    def build_average(self, model: Classifier) -> WeightAverage | None:
        """The average of the model's weights, if one is wanted."""
        return WeightAverage(model, self.average_decay) if self.average_decay is not None else None


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set it for all weights."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


class WeightAverage:
    """The exponential average of a model's weights over the steps of its training.

    It begins with the weights after the first step. The step after n of them makes it d w' + (1 - d) w with
    d = min(decay, (1 + n) / (10 + n)), so that the first weights, which know nothing, are soon forgotten. Batch
    statistics are not averaged but those of the model.
    """

    model: Classifier
    """A model that has the averaged weights."""
    steps: int
    """Steps it has followed: a plain number, for to read one from a GPU would be to wait for all that it has to do."""

    def __init__(self, model: Classifier, decay: float) -> None:
        """Begin with a copy of the model."""
        self.model, self.steps = copy.deepcopy(model), 0
        self._decay = decay

    @torch.no_grad()
    def follow(self, model: Classifier) -> None:
        """Move on after a step of `model`."""
        keep = min(self._decay, (1 + self.steps) / (10 + self.steps)) if self.steps else 0.0
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1.0 - keep)
        self.take_buffers(model)
        self.steps += 1

    def take_buffers(self, model: Classifier) -> None:
        """Take the batch statistics of `model`."""
        for own, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            own.copy_(theirs)

    def go_on(self, steps: int) -> None:
        """Be as after so many steps; the averaged weights were loaded into `model`."""
        self.steps = steps
