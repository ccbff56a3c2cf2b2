"""The loop that every gradient attack runs: follow a gradient, stay inside the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.attacks.engine.gradients import Gradient, GradientAt, Streams, direction, normalised_or_noise, unit_noise
from training.attacks.engine.randomness import uniform_like
from training.attacks.engine.temporal_groups import TemporalGroups
from training.batch import MODALITIES, Batch, per_clip
from training.threat import ThreatModel

MomentumNorm = Literal["per_modality", "per_segment", "joint"]
NOT_SHARED = TemporalGroups()


@dataclass(frozen=True)
class Ascent:
    """How the loop moves; step sizes are in units of epsilon, so one attack serves every threat model."""

    steps: int
    step_size: float
    momentum: float = 0.0
    """Decay mu of the accumulated gradient, m = mu m + g / ||g||_1."""
    momentum_norm: MomentumNorm = "per_modality"
    """Whether each modality's gradient is divided by its own mean size, by each of its segments', or both modalities'
    by their common one in units of epsilon. Means are over what the threat allows to change."""
    look_ahead: bool = False
    """Whether the gradient is taken where the momentum would lead, as Nesterov's."""
    random_start: bool = False
    restart: int = 0
    """Number of the random start, counted from 0: each draws its own."""
    sharing: TemporalGroups = NOT_SHARED

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
        velocity: Streams = {}
        for step in range(self.steps):
            found = gradient_at(model, self._looked_at(perturbed, velocity, threat), threat.modalities)
            velocity = self._accumulated(velocity, self._usable(found, batch, threat, generator, step), threat)
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

    def _looked_at(self, perturbed: Batch, velocity: Streams, threat: ThreatModel) -> Batch:
        """Where alpha mu m would lead; in l2, a gradient of even size would lead as far as a step times mu."""
        if not (self.look_ahead and velocity):
            return perturbed
        ahead: Streams = {name: perturbed.stream(name) for name in MODALITIES}
        for name, stream in velocity.items():
            num_values = round(stream.shape[1:].numel() * _allowed_share(stream, threat))
            size = threat.geometry.length_of_ones(num_values)
            ahead[name] = ahead[name] + self.step_size * threat.epsilon(name) * self.momentum / size * stream
        return perturbed.with_streams(**ahead)

    def _usable(
        self, found: Gradient, batch: Batch, threat: ThreatModel, generator: torch.Generator, step: int
    ) -> Streams:
        shared: Streams = {
            name: self.sharing.average(stream if threat.segments is None else stream * threat.support(stream))
            for name, stream in found.streams.items()
        }
        is_joint = self.momentum_norm == "joint"
        gradient = Gradient(shared, found.log_scale)
        return normalised_or_noise(gradient, batch, threat, generator, f"gradient {step}", joint=is_joint).streams

    def _accumulated(self, velocity: Streams, found: Streams, threat: ThreatModel) -> Streams:
        if not self.momentum:
            return found
        if self.momentum_norm == "joint":
            # In units of each modality's epsilon, so that both are steps of the same kind.
            found = {name: threat.epsilon(name) * stream for name, stream in found.items()}
        sizes = self._mean_sizes(found, threat)
        return {
            name: self.momentum * velocity.get(name, torch.zeros_like(stream)) + stream / sizes[name]
            for name, stream in found.items()
        }

    def _mean_sizes(self, found: Streams, threat: ThreatModel) -> Streams:
        """What the gradients are divided by, shaped to broadcast over them."""
        if self.momentum_norm == "per_segment":
            # A segment without any gradient stays where it is: 0 / tiny.
            return {
                name: stream.abs()
                .mean(tuple(range(2, stream.dim())), keepdim=True)
                .clamp_min(torch.finfo(stream.dtype).tiny)
                for name, stream in found.items()
            }
        if self.momentum_norm == "joint":
            mean = torch.cat([stream.flatten(1).abs() for stream in found.values()], dim=1).mean(1)
            means = dict.fromkeys(found, mean)
        else:
            means = {name: stream.flatten(1).abs().mean(1) for name, stream in found.items()}
        return {name: per_clip(means[name] / _allowed_share(stream, threat), stream) for name, stream in found.items()}

    def _kept(self, free: Batch, perturbed: Batch, batch: Batch, threat: ThreatModel) -> Batch:
        """The point to go on from: the projected clips, or the shared perturbation inside the ball alone."""
        if self.sharing.of == "gradient" or self.sharing.segments == 1:
            return perturbed
        inside: Streams = {
            name: batch.stream(name) + threat.into_ball(name, free.stream(name) - batch.stream(name))
            for name in MODALITIES
        }
        return batch.with_streams(**inside)


def _allowed_share(stream: Float[Tensor, "batch segments *shape"], threat: ThreatModel) -> float:
    """Share of the segments that the threat allows to change."""
    return 1.0 if threat.segments is None else len(threat.segments) / stream.shape[1]


def default_step_size(steps: int, *, random_start: bool) -> float:
    """Step in units of epsilon: the border in `steps` steps, or any point of the ball from a random one.

    2.5 / steps is Madry et al.'s choice (arXiv:1706.06083, Section 5); the cap 1.25 is single-step training's
    (Wong et al. 2020, arXiv:2001.03994, Section 4.2).
    """
    return min(1.25, 2.5 / steps) if random_start else 1.0 / steps
