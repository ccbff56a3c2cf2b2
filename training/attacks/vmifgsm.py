"""VMI-FGSM: MI-FGSM whose gradient is corrected by the neighbourhood of the last point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat
from torch import nn

from training.attacks.base import MomentumAttack
from training.attacks.engine.gradients import Gradient, GradientAt, Streams, classification_gradient, unit_noise
from training.attacks.engine.losses import LossName
from training.attacks.engine.randomness import uniform_like
from training.batch import MODALITIES, Batch, Modality
from training.passes import Passes
from training.threat import ThreatModel


class VMIFGSM(MomentumAttack):
    """Variance tuned momentum iterative FGSM: each gradient is corrected by the variance v of the one before.

        m = mu m + (g(x) + v) / ||g(x) + v||_1,    x = P(x + alpha sign m)
        v = 1/N sum_j g(x' + r_j) - g(x'),    r_j ~ U(-beta epsilon, beta epsilon),    x' the point before x

    Wang & He 2021, arXiv:2103.15571, Algorithm 1. One pass in the first step, 1 + N in every
    other: v is found when the next step needs it, so the last one, which nobody would use, is not paid for.

    What differs: each modality has its own epsilon; for l2 threats r_j is a random direction of length beta epsilon
    (the paper is about linf). Neighbours differ where the threat allows a change alone. As in the paper, they are not
    projected: they may lie outside ball and box.
    """

    name: Literal["vmifgsm"] = "vmifgsm"
    num_neighbours: NonNegativeInt = 20
    """N random neighbours per point; 0 is MI-FGSM."""
    radius: PositiveFloat = 1.5
    """beta: how far they are, in units of epsilon."""
    loss: LossName = "cross_entropy"
    """The loss that the attack maximises."""

    @property
    def cost_of_copy(self) -> Passes:
        """One pass per step, and N for every point but the last."""
        return Passes(1, 1) * (self.steps + (self.steps - 1) * self.num_neighbours)

    def gradient(self, clean: Batch, threat: ThreatModel, generator: torch.Generator) -> GradientAt:
        """The gradient of the loss plus the last point's variance."""
        plain = classification_gradient(self.loss)
        if not self.num_neighbours:
            return plain
        return _VarianceTuned(plain, self.num_neighbours, self.radius, threat, generator)


@dataclass
class _VarianceTuned:
    """A gradient that remembers the point before."""

    plain: GradientAt
    num_neighbours: int
    radius: float
    threat: ThreatModel
    generator: torch.Generator
    step: int = 0
    last: tuple[Batch, Gradient] | None = None

    def __call__(self, model: nn.Module, batch: Batch, modalities: Sequence[Modality]) -> Gradient:
        negative_variance = self._negative_variance(model, modalities)
        found = self.plain(model, batch, modalities)
        self.last, self.step = (batch, found), self.step + 1
        return found if negative_variance is None else found.plus(negative_variance, weight=-1.0)

    def _negative_variance(self, model: nn.Module, modalities: Sequence[Modality]) -> Gradient | None:
        """g(x) minus the neighbours' mean, at the last point: one sum, to which one gradient at a time is added."""
        if self.last is None:
            return None
        (point, total), self.last = self.last, None
        for number in range(self.num_neighbours):
            neighbour = self._neighbour(point, f"neighbour {self.step}.{number}")
            total = total.plus(self.plain(model, neighbour, modalities), weight=-1.0 / self.num_neighbours)
        return total

    def _neighbour(self, point: Batch, purpose: str) -> Batch:
        moved: Streams = {name: point.stream(name) for name in MODALITIES}
        for name in self.threat.modalities:
            noise = uniform_like(moved[name], point.keys, self.generator, f"{name} {purpose}")
            size = self.radius * self.threat.epsilon(name)
            moved[name] = moved[name] + size * unit_noise(noise, self.threat)
        return point.with_streams(**moved)
