"""Randomness that belongs to a clip, not to the batch or the worker it comes in."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from preprocessing.seeds import seed_of

CPU = torch.device("cpu")


def clip_generator(generator: torch.Generator, key: str, purpose: str, device: torch.device = CPU) -> torch.Generator:
    """A random stream of one clip for one purpose: decided by the generator's initial seed, which is not advanced."""
    return torch.Generator(device=device).manual_seed(seed_of(generator.initial_seed(), purpose, key))


def uniform_like(
    stream: Float[Tensor, "batch *shape"], keys: tuple[str, ...], generator: torch.Generator, purpose: str
) -> Float[Tensor, "batch *shape"]:
    """Uniform noise in [-1, 1], each clip from its own stream."""
    noise = torch.empty_like(stream)
    for row, key in zip(noise, keys, strict=True):
        row.uniform_(-1.0, 1.0, generator=clip_generator(generator, key, purpose, stream.device))
    return noise


def normal_like(
    stream: Float[Tensor, "batch *shape"], keys: tuple[str, ...], generator: torch.Generator, purpose: str
) -> Float[Tensor, "batch *shape"]:
    """Standard normal noise, each clip from its own stream."""
    noise = torch.empty_like(stream)
    for row, key in zip(noise, keys, strict=True):
        row.normal_(generator=clip_generator(generator, key, purpose, stream.device))
    return noise
