"""What every attack guarantees: inside the budget, finite, and the world left as it was found."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from preprocessing.schema import Settings
from training.batch import Batch
from training.threat import ThreatModel


class Attack(Settings):
    """Numbers plus a call. Holds no model, no data and no device.

    `attack(model, batch, threat, generator)` returns the same clips perturbed, such that

    * every clip lies inside the threat's ball around its clean version and inside [0, 1], and is finite;
    * a modality with epsilon 0 is untouched, bit for bit, and the clean batch is not modified;
    * the model's modes, buffers, gradients and `requires_grad` flags and the global random state are as they were,
      also after an exception;
    * randomness depends on `generator.initial_seed()` and the clip's key only (the generator is not advanced), so a
      clip's result does not depend on the batch or the worker it came in.
    """

    name: str

    def __call__(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Perturb the clips of `batch` within `threat` so that `model` gets them wrong."""
        if threat.video == 0 and threat.audio == 0:
            return batch
        with frozen(model), torch.enable_grad():
            perturbed = self.perturb(model, batch, threat, generator)
        return threat.project(perturbed, around=batch)

    @abstractmethod
    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """The attack proper: `model` is in evaluation mode and its parameters take no gradients."""

    @property
    @abstractmethod
    def passes(self) -> int:
        """Pairs of forward and backward passes that one call costs."""


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without parameter gradients; each module and parameter gets its own flag back.

    Batch normalisation and dropout in training mode would mix the clips of a batch and drift the running statistics.
    """
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        model.eval()
        for parameter, _ in flags:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def clip_generator(generator: torch.Generator, key: str, purpose: str, device: torch.device) -> torch.Generator:
    """A random stream of one clip for one purpose, whatever batch the clip comes in."""
    text = f"{generator.initial_seed()}/{purpose}/{key}".encode()
    seed = int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1
    return torch.Generator(device=device).manual_seed(seed)


def uniform_like(
    stream: Float[Tensor, "batch *shape"], keys: tuple[str, ...], generator: torch.Generator, purpose: str
) -> Float[Tensor, "batch *shape"]:
    """Uniform noise in [-1, 1], each clip from its own stream."""
    noise = torch.empty_like(stream)
    for row, key in zip(noise, keys, strict=True):
        row.uniform_(-1.0, 1.0, generator=clip_generator(generator, key, purpose, stream.device))
    return noise
