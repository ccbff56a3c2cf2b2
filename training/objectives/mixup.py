"""Mixup: training on mixtures of two clips."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import PositiveFloat
from torch import Tensor, nn

from training.attacks.engine.randomness import clip_generator
from training.batch import Batch, per_clip
from training.objectives.base import Classifying, Forward, Loss, LossOf, SingleUpdate
from training.objectives.exchange import clips_of_others, keys_of_all


class Mixup(Classifying, SingleUpdate):
    """x = w x_i + (1 - w) x_j with the loss w CE(x, y_i) + (1 - w) CE(x, y_j), w ~ Beta(alpha, alpha).

    Zhang et al. 2018, arXiv:1710.09412, Section 2. One w per clip serves every segment of both modalities, so that
    picture and sound stay of one kind. Costs 1 forward and 1 backward pass per batch.

    Each clip draws its weight and its place in a ring by its key; its partner is the next in the ring of the clips that
    came in the same batch, whichever workers have them. So neither the order in the batch nor the number of workers
    matters; with several, each gets its clips' partners from the others.
    """

    name: Literal["mixup"] = "mixup"
    alpha: PositiveFloat = 1.0
    """Shape of the weights' distribution: near 0 clips are hardly mixed, 1 is uniform, above 1 near halves."""

    def prepare(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> LossOf:
        """The mixed cross-entropy."""
        weights = draw_weights(batch, self.alpha, generator)
        other = partners_of(batch, generator)
        mixed = batch.with_streams(
            _mixed(batch.video, other.video, weights=weights), _mixed(batch.audio, other.audio, weights=weights)
        )
        return partial(self._loss, mixed=mixed, other_labels=other.labels, weights=weights)

    def _loss(self, forward: Forward, mixed: Batch, other_labels: Tensor, weights: Tensor) -> Loss:
        logits = forward(mixed.video, mixed.audio).logits
        pairs = ((mixed.labels, weights), (other_labels, 1 - weights))
        total = sum(
            ((weight * self.cross_entropies(logits, labels)).mean() for labels, weight in pairs),
            start=logits.new_zeros(()),
        )
        is_named = [(logits.detach().argmax(1) == labels).float() * weight for labels, weight in pairs]
        return Loss(total, {"cross_entropy": total.detach(), "accuracy": (is_named[0] + is_named[1]).mean()})


def draw_weights(batch: Batch, alpha: float, generator: torch.Generator) -> Float[Tensor, " batch"]:
    """Weight of each clip itself in its mixture, in [0, 1]."""
    seeds = [clip_generator(generator, key, "mixup weight").initial_seed() for key in batch.keys]
    draws = [np.random.default_rng(seed).beta(alpha, alpha) for seed in seeds]
    return torch.tensor(draws, dtype=batch.video.dtype, device=batch.video.device)


def partners_of(batch: Batch, generator: torch.Generator) -> Batch:
    """The partner of each clip, drawn among the clips of all workers; every worker must call this."""
    keys = keys_of_all(batch.keys)
    places = draw_partners(tuple(key for each in keys for key in each), generator)
    wanted = [part.tolist() for part in torch.split(places, [len(each) for each in keys])]
    return clips_of_others(batch, wanted)


def draw_partners(keys: tuple[str, ...], generator: torch.Generator) -> Int[Tensor, " batch"]:
    """The position of each clip's partner: the next on a ring around which the keys decide the places."""
    places = [float(torch.rand((), generator=clip_generator(generator, key, "mixup partner"))) for key in keys]
    ring = sorted(range(len(keys)), key=lambda row: (places[row], keys[row]))
    partners = torch.empty(len(keys), dtype=torch.long)
    partners[ring] = torch.tensor(ring[1:] + ring[:1])
    return partners


def _mixed(stream: Tensor, other: Tensor, *, weights: Float[Tensor, " batch"]) -> Tensor:
    weight = per_clip(weights, stream)
    return weight * stream + (1 - weight) * other
