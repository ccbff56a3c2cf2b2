"""AWP: another objective's loss at weights that were moved for the worse."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.func import functional_call

from training.batch import Batch
from training.models import Outputs
from training.objectives.base import Forward, Loss, LossOf, SingleUpdate, bare
from training.objectives.exchange import mean_over_clips
from training.objectives.pgd_at import PGDAT
from training.passes import Passes
from training.threat import ThreatModel

if TYPE_CHECKING:
    AnySingleUpdate = SingleUpdate  # when running, the union of all of them that `training.objectives` makes
Weights = dict[str, Tensor]


class AWP(SingleUpdate):
    """Adversarial weight perturbation around another objective (Wu et al. 2020, arXiv:2004.05884, Algorithm 1).

    min over w of L(w + v), v = gamma ||w|| g / ||g|| for each weight with more than one dimension, g the gradient of
    the other objective's loss L at w on the crafted clips. Costs the other objective's passes and those of one more
    look at its loss.

    What differs: the moved weights are a function w + v of the weights, whose gradient in w is that in w + v, so the
    weights themselves are never moved and nothing needs to be put back after the backward pass, an exception or a lost
    worker. The ascent leaves the batch statistics as they were. With several workers g is averaged over them, so that
    all move alike. Every step is perturbed; the paper can leave out the first epochs. Labels are smoothed where the
    other objective says so, in the ascent as in the loss.
    """

    name: Literal["awp"] = "awp"
    gamma: PositiveFloat = 0.01
    """Length of v relative to each weight: the authors take 0.01 around PGD-AT and 0.005 around TRADES."""
    objective: AnySingleUpdate = PGDAT()
    """The objective whose loss is taken at the moved weights: any with one update per batch."""

    @property
    def threat(self) -> ThreatModel | None:
        """The ball that the other objective defends; None if it attacks nothing."""
        threat: ThreatModel | None = getattr(self.objective, "threat", None)
        return threat

    def prepare(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> LossOf:
        """The other objective's loss at the moved weights."""
        loss_of = self.objective.prepare(model, batch, progress=progress, generator=generator)
        moves = self._moves(model, loss_of, num_clips=len(batch))

        def moved_loss(forward: Forward) -> Loss:
            assert isinstance(forward, nn.Module), f"only a module has weights to move, got {type(forward)}"
            return loss_of(partial(_forward_moved, forward, moves))

        return moved_loss

    def _moves(self, model: nn.Module, loss_of: LossOf, *, num_clips: int) -> Weights:
        """v by weight: one step of ascent, of relative length gamma; zero where the gradient is.

        The gradient is that of the loss over all workers' clips, of which this one has `num_clips`.
        """
        weights = {name: weight for name, weight in model.named_parameters() if weight.dim() > 1}
        statistics = {name: buffer.clone() for name, buffer in model.named_buffers()}
        devices = {weight.device for weight in weights.values() if weight.device.type == "cuda"}
        # The random state is put back, so that the loss drops the same units as the ascent.
        with torch.random.fork_rng(devices=devices), torch.enable_grad():
            total = loss_of(lambda video, audio: _call(model, statistics, video, audio)).total
            sums = torch.autograd.grad(num_clips * total, list(weights.values()), materialize_grads=True)
        gradients = mean_over_clips(sums, num_clips=num_clips)
        return {
            name: self.gamma * _rescaled(gradient, to=weight.detach())
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }

    def crafting_cost(self, *, progress: float, num_segments: int) -> Passes:
        """Passes of the other objective's crafting, and of the look at the loss that the weights ascend."""
        crafting = self.objective.crafting_cost(progress=progress, num_segments=num_segments)
        return crafting + self.objective.loss_cost

    @property
    def loss_cost(self) -> Passes:
        """Passes of the other objective's loss."""
        return self.objective.loss_cost

    def for_next_epoch(self, accuracies: Sequence[float]) -> AWP:
        """The same around the other objective of the next epoch."""
        return self.model_copy(update={"objective": self.objective.for_next_epoch(accuracies)})

    def settings_at(self, progress: float) -> dict[str, float]:
        """Values that the other objective's curriculum has set."""
        return self.objective.settings_at(progress)


def _forward_moved(model: nn.Module, moves: Weights, video: Tensor, audio: Tensor) -> Outputs:
    """Outputs of the model, or of the one inside its distributed wrapper, with its weights moved."""
    prefix = "" if model is bare(model) else "module."
    weights = dict(model.named_parameters())
    moved = {prefix + name: weights[prefix + name] + move for name, move in moves.items()}
    return _call(model, moved, video, audio)


def _call(model: nn.Module, tensors: Weights, video: Tensor, audio: Tensor) -> Outputs:
    outputs: Outputs = functional_call(model, tensors, (video, audio))
    return outputs


def _rescaled(gradient: Float[Tensor, "*shape"], *, to: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The gradient's direction at the length of the weight; zeros if it has no direction."""
    largest = gradient.abs().amax()
    scaled = gradient / largest  # so that its square does not vanish
    return torch.where(largest.isfinite() & (largest > 0), scaled * (to.norm() / scaled.norm()), 0.0)
