"""The loop that every gradient attack runs: follow a gradient, stay inside the budget."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from training.attacks.engine.averaging import Smoothing, TemporalGroups
from training.attacks.engine.gradients import Gradient, GradientAt, Streams, direction, normalised_or_noise, unit_noise
from training.attacks.engine.input_transforms import AnyInputTransform, at_transformed_inputs
from training.attacks.engine.momentum import Momentum, MomentumNorm
from training.attacks.engine.randomness import uniform_like
from training.batch import MODALITIES, Batch
from training.threat import ThreatModel

NOT_SHARED = TemporalGroups()
NOT_SMOOTHED = Smoothing()


@dataclass(frozen=True)
class Ascent:
    """The loop x = P(x + alpha steepest(m)); alpha is in units of epsilon, so one attack serves every threat model."""

    steps: int
    step_size: float
    momentum: float = 0.0
    """Decay mu of the accumulated gradient, m = mu m + g / ||g||_1."""
    momentum_norm: MomentumNorm = "per_modality"
    """The mean size that a gradient is divided by: its modality's, each segment's, or both modalities' common one in
    units of epsilon. Means are over what the threat allows to change."""
    look_ahead: bool = False
    """Take the gradient where the momentum would lead, as Nesterov does."""
    random_start: bool = False
    restart: int = 0
    """Number of the random start, counted from 0: each draws its own."""
    smoothing: Smoothing = NOT_SMOOTHED
    sharing: TemporalGroups = NOT_SHARED
    input_transforms: tuple[AnyInputTransform, ...] = ()
    """The gradient is the mean over copies of the clip that these make."""

    def __call__(
        self,
        model: nn.Module,
        batch: Batch,
        threat: ThreatModel,
        generator: torch.Generator,
        gradient_at: GradientAt,
    ) -> Batch:
        """Climb from the clean clips, or from a random point of the ball."""
        perturbed = self._start(batch, threat, generator)
        free = perturbed  # where the group's one perturbation is, not cut off at each segment's box
        momentum = Momentum(self.momentum, self.momentum_norm, threat)
        velocity: Streams = {}
        if self.input_transforms:
            gradient_at = at_transformed_inputs(gradient_at, self.input_transforms, generator)
        for step in range(self.steps):
            seen = perturbed
            if self.look_ahead:
                seen = momentum.looked_ahead(perturbed, velocity, step_size=self.step_size)
            found = gradient_at(model, seen, threat.modalities)
            velocity = momentum.accumulated(velocity, self._usable(found, batch, threat, generator, step))
            moved: Streams = {
                name: free.stream(name) + self.step_size * threat.epsilon(name) * direction(stream, threat)
                for name, stream in velocity.items()
            }
            free = batch.with_streams(moved.get("video", batch.video), moved.get("audio", batch.audio))
            perturbed = threat.project(free, around=batch)
            free = self._kept(free, perturbed, batch, threat)
        return perturbed

    def _start(self, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        if not self.random_start:
            return batch
        moved: Streams = {"video": batch.video, "audio": batch.audio}
        for name in threat.modalities:
            stream = batch.stream(name)
            purpose = f"{name} start" if self.restart == 0 else f"{name} start {self.restart}"
            noise = uniform_like(stream, batch.keys, generator, purpose)
            if self.sharing.of == "perturbation":  # segments that share one perturbation begin at one point
                noise = self.sharing.average(noise)
            moved[name] = stream + threat.epsilon(name) * unit_noise(noise, threat)
        return threat.project(batch.with_streams(**moved), around=batch)

    def _usable(
        self, found: Gradient, batch: Batch, threat: ThreatModel, generator: torch.Generator, step: int
    ) -> Streams:
        """The gradient that the steps follow: smoothed, shared within each group of segments, and never empty."""
        allowed: Streams = {
            name: stream if threat.segments is None else stream * threat.support(stream)
            for name, stream in found.streams.items()
        }
        shared: Streams = {
            name: self.sharing.average(stream) for name, stream in self.smoothing.smoothed(allowed).items()
        }
        is_joint = self.momentum_norm == "joint"
        gradient = Gradient(shared, found.log_scale)
        return normalised_or_noise(gradient, batch, threat, generator, f"gradient {step}", joint=is_joint).streams

    def _kept(self, free: Batch, perturbed: Batch, batch: Batch, threat: ThreatModel) -> Batch:
        """The point to go on from: the projected clips, or the shared perturbation inside the ball alone."""
        if self.sharing.of == "gradient" or not self.sharing.is_on:
            return perturbed
        inside: Streams = {
            name: batch.stream(name) + threat.into_ball(name, free.stream(name) - batch.stream(name))
            for name in MODALITIES
        }
        return batch.with_streams(**inside)


def default_step_size(steps: int, *, random_start: bool) -> float:
    """Step in units of epsilon: the border in `steps` steps, or any point of the ball from a random one.

    2.5 / steps is Madry et al.'s choice (arXiv:1706.06083, Section 5); the cap 1.25 is single-step training's
    (Wong et al. 2020, arXiv:2001.03994, Section 4.2).
    """
    return min(1.25, 2.5 / steps) if random_start else 1.0 / steps
