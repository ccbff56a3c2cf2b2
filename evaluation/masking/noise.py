"""Plain noise as an attack: the baseline that an attack which follows gradients must beat."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from training.attacks import Attack
from training.attacks.engine.gradients import Streams, unit_noise
from training.attacks.engine.randomness import uniform_like
from training.batch import MODALITIES, Batch
from training.passes import Passes
from training.threat import ThreatModel


class UniformNoise(Attack):
    """One random change of the whole budget; the model is not asked."""

    name: Literal["noise"] = "noise"

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Add the noise."""
        return noisy(batch, threat, generator, self.name)

    @property
    def cost(self) -> Passes:
        """None."""
        return Passes()


def noisy(batch: Batch, threat: ThreatModel, generator: torch.Generator, purpose: str, *, share: float = 1.0) -> Batch:
    """The clips with a random change of `share` budgets, each clip its own; not projected into its box."""
    streams: Streams = {name: batch.stream(name) for name in MODALITIES}
    for name in threat.modalities:
        noise = uniform_like(batch.stream(name), batch.keys, generator, f"{purpose} {name}")
        streams[name] = batch.stream(name) + share * threat.epsilon(name) * unit_noise(noise, threat)
    return batch.with_streams(**streams)
