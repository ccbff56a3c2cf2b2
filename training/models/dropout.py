"""Dropout whose random choices belong to a clip, not to the batch or the worker it comes in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from preprocessing.seeds import seed_of


@dataclass(frozen=True)
class Draws:
    """The clips that a model is given, and the seed of what is drawn for each of them."""

    keys: tuple[str, ...]
    seed: int
    purpose: str
    """Another purpose draws other units."""

    def kept(self, shape: torch.Size, ratio: float, purpose: str) -> Tensor:
        """True for every unit of `shape` that is kept, on the processor; with k rows a clip, k runs of all clips."""
        runs, rest = divmod(shape[0], len(self.keys))
        assert rest == 0, f"got {shape[0]} rows of features, which is no multiple of {len(self.keys)} clips"
        kept = torch.empty(shape)
        for row, key in enumerate(self.keys * runs):
            run = row // len(self.keys)
            seed = seed_of(self.seed, self.purpose, purpose, run, key)
            kept[row].uniform_(generator=torch.Generator().manual_seed(seed))
        return kept >= ratio


class ClipDropout(nn.Module):
    """Drops feature units in training mode and makes up for it in the others; which ones, `drawing_by_clip` decides.

    Where nothing decides it, the global random state does, as in `nn.Dropout`.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        self.p = p
        """Share of the units that are dropped, in [0, 1)."""
        self.draws: Draws | None = None

    def forward(
        self, features: Float[Tensor, "rows segments features"], purpose: str
    ) -> Float[Tensor, "rows segments features"]:
        """Drop units of every segment for itself; features of another purpose lose others."""
        if not self.training or not self.p:
            return features
        if self.draws is None:
            return functional.dropout(features, self.p)
        kept = self.draws.kept(features.shape, self.p, purpose)
        return features * (kept / (1.0 - self.p)).to(features)


@contextmanager
def drawing_by_clip(
    model: nn.Module, keys: tuple[str, ...], generator: torch.Generator, purpose: str = "dropout"
) -> Iterator[None]:
    """Inside, the dropout of `model` is decided by the generator's initial seed, `purpose` and the clips' `keys`.

    Every forward pass is over these clips in their order, or over several runs of them, one after the other.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, ClipDropout)]
    draws = Draws(keys, generator.initial_seed(), purpose)
    try:
        for layer in layers:
            layer.draws = draws
        yield
    finally:
        for layer in layers:
            layer.draws = None
