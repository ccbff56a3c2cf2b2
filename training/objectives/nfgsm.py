"""N-FGSM: adversarial training by one step from noise that is larger than the ball."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import nn

from training.attacks.base import Attack
from training.attacks.engine.ascent import Ascent
from training.attacks.engine.gradients import Streams, classification_gradient, direction, normalised_or_noise
from training.batch import MODALITIES, Batch
from training.objectives.crafting_objective import AdversarialTraining
from training.passes import Passes
from training.threat import ThreatModel


class NoiseAndStep(Attack):
    """x' = clip(x + n + alpha epsilon sign g(x + n)), n ~ U(-k epsilon, k epsilon): it leaves the ball of epsilon.

    The ball that it is called with is the one it cannot leave, (k + alpha) epsilon wide, so that the projection that
    every attack ends with cuts off nothing but what is outside the box.
    """

    name: Literal["noise_and_step"] = "noise_and_step"
    noise: PositiveFloat
    """k, the noise in units of epsilon."""
    step_size: PositiveFloat
    """alpha, the step in units of epsilon."""

    @property
    def cost(self) -> Passes:
        """One step's."""
        return Passes(1, 1)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Add the noise, inside the box, and take the step from there."""
        reach = self.noise + self.step_size
        start = Ascent(steps=0, step_size=0.0, random_start=True)
        gradient_at = classification_gradient()
        noisy = start(model, batch, threat.scaled(self.noise / reach), generator, gradient_at)
        found = normalised_or_noise(gradient_at(model, noisy, threat.modalities), batch, threat, generator, "gradient")
        moved: Streams = {name: noisy.stream(name) for name in MODALITIES}
        for name, stream in found.streams.items():
            moved[name] = moved[name] + threat.epsilon(name) * self.step_size / reach * direction(stream, threat)
        return batch.with_streams(**moved)


class NFGSM(AdversarialTraining):
    """Training on one step from large noise, cut off at the box and never at the ball (de Jorge et al. 2022).

    delta = n + alpha epsilon sign g(x + n) with n ~ U(-k epsilon, k epsilon): Algorithm 1 of arXiv:2202.01181. Costs 2
    forward and 2 backward passes per batch. The clips it trains on are up to (k + alpha) epsilon from the clean ones,
    which is the point of it: against the catastrophic overfitting of single-step training it needs no second gradient.

    What differs: the step is taken in evaluation mode and from noise that is cut off at the box. For an `l2` threat the
    noise is a random direction of length k epsilon and the step the steepest one of length alpha epsilon (the paper has
    linf alone).
    """

    name: Literal["nfgsm"] = "nfgsm"
    noise: PositiveFloat = 2.0
    """k, the noise in units of epsilon."""
    step_size: PositiveFloat = 1.0
    """alpha, the step in units of epsilon."""

    def attacks_at(self, progress: float) -> tuple[Attack, ...]:
        """The noise and the step."""
        return (NoiseAndStep(noise=self.noise, step_size=self.step_size),)

    def threat_at(self, progress: float) -> ThreatModel:
        """The ball that noise and step together reach."""
        return super().threat_at(progress).scaled(self.noise + self.step_size)
