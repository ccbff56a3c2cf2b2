"""Model, optimizer, weight average and one update step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from training.batch import MODALITIES
from training.config import TrainConfig
from training.data import StoredSplit
from training.models import Classifier
from training.models.batch_norm import average_local_statistics
from training.objectives.base import bare
from training.optimization import WeightAverage, set_learning_rate


class NonFiniteGradientError(ArithmeticError):
    """The weights' gradient is infinite or not a number; every worker sees it at the same step."""


@dataclass(frozen=True)
class Learner:
    """A classifier in training, with its optimizer and the average of its weights."""

    model: nn.Module
    """The classifier, or its distributed wrapper, that losses are taken of."""
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None = None
    """The average of the classifier's weights, if there is one."""

    @classmethod
    def of(
        cls,
        config: TrainConfig,
        split: StoredSplit,
        prepare: Callable[[Classifier], nn.Module] | None = None,
        *,
        device: torch.device | str = "cpu",
    ) -> Learner:
        """The learner at the beginning of a training on `split`, which will be on `device`.

        `prepare` is given the freshly initialised classifier, changes it in place and returns its wrapper.
        """
        torch.manual_seed(config.seed)
        classifier = config.build_model(split.index.format, len(split.index.classes), device=device)
        model = prepare(classifier) if prepare else classifier
        return cls(model, config.optimizer.build(classifier), config.optimizer.build_average(classifier))

    @property
    def classifier(self) -> Classifier:
        """The bare classifier."""
        return cast(Classifier, bare(self.model))

    @property
    def exported_model(self) -> Classifier:
        """The model that is validated and stored: the averaged one, if there is one."""
        return self.average.model if self.average else self.classifier

    def update(
        self, loss: Tensor, *, factor: int | float, learning_rate: float, gradient_clip: float | None, where: str
    ) -> dict[str, Tensor]:
        """Go backward from `factor` times `loss` and step; returns the L2 norms of the gradient before it was clipped.

        `gradient_norm` is that of all weights, `gradient_norm_video` and `gradient_norm_audio` are the encoders': where
        one is far below the other, one modality learns and the other is carried along. `where` tells the step in the
        error's message.

        Raises:
            NonFiniteGradientError: before the weights are touched.
        """
        set_learning_rate(self.optimizer, learning_rate)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(factor * loss)
        # After the workers' gradients were averaged, so all of them see the same length and stop together.
        norms = {
            f"gradient_norm_{modality}": _gradient_norm(self.classifier.get_submodule(f"{modality}_encoder"))
            for modality in MODALITIES
        }
        length = nn.utils.clip_grad_norm_(self.model.parameters(), gradient_clip or math.inf)
        if not bool(length.isfinite()):
            raise NonFiniteGradientError(
                f"{where}: the gradient has length {float(length)}, the loss is {float(loss.detach())}; lower "
                "optimizer.learning_rate or set gradient_clip"
            )
        self.optimizer.step()
        if self.average:
            self.average.follow(self.classifier)
        return {"gradient_norm": length, **norms}

    def average_statistics(self) -> None:
        """Give all workers the mean of the batch statistics that each has of its own; every worker must call this."""
        average_local_statistics(self.classifier)
        if self.average:
            self.average.take_buffers(self.classifier)


def _gradient_norm(module: nn.Module) -> Tensor:
    return nn.utils.get_total_norm([weight.grad for weight in module.parameters() if weight.grad is not None])
