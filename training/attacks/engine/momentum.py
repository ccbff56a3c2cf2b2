"""The accumulated gradient m = mu m + g / ||g||_1 of MI-FGSM, and the look-ahead that Nesterov takes along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from training.attacks.engine.gradients import Streams
from training.batch import MODALITIES, Batch, per_clip
from training.threat import ThreatModel

MomentumNorm = Literal["per_modality", "per_segment", "joint"]


@dataclass(frozen=True)
class Momentum:
    """The rule by which gradients are accumulated, for clips under one threat model.

    A gradient is divided by its mean absolute value over what the threat allows to change, in place of its L1 norm:
    equal up to a constant per clip.
    """

    decay: float
    """mu; 0 = the last gradient alone, as it is."""
    norm: MomentumNorm
    """Whose mean size divides the gradient: each modality's own, each segment's, or both modalities' common one."""
    threat: ThreatModel

    def accumulated(self, velocity: Streams, found: Streams) -> Streams:
        """m of this step, from that of the step before (empty at first) and the gradient that was found."""
        if not self.decay:
            return found
        if self.norm == "joint":
            # In units of each modality's epsilon, so that both are steps of the same kind.
            found = {name: self.threat.epsilon(name) * stream for name, stream in found.items()}
        sizes = self._mean_sizes(found)
        return {
            name: self.decay * velocity.get(name, torch.zeros_like(stream)) + stream / sizes[name]
            for name, stream in found.items()
        }

    def looked_ahead(self, point: Batch, velocity: Streams, *, step_size: float) -> Batch:
        """The point x + alpha mu m, alpha = `step_size` epsilon, which may lie outside ball and box.

        m is divided by the length of a change of even size, so that in every norm such a gradient leads as far as a
        step times mu.
        """
        ahead: Streams = {name: point.stream(name) for name in MODALITIES}
        for name, stream in velocity.items():
            num_values = round(stream.shape[1:].numel() * self._allowed_share(stream))
            size = self.threat.geometry.length_of_ones(num_values)
            ahead[name] = ahead[name] + step_size * self.threat.epsilon(name) * self.decay / size * stream
        return point.with_streams(**ahead)

    def _mean_sizes(self, found: Streams) -> Streams:
        """The divisors of the gradients, shaped to broadcast over them."""
        if self.norm == "per_segment":
            # A segment without any gradient stays where it is: 0 / tiny.
            return {
                name: stream.abs()
                .mean(tuple(range(2, stream.dim())), keepdim=True)
                .clamp_min(torch.finfo(stream.dtype).tiny)
                for name, stream in found.items()
            }
        if self.norm == "joint":
            mean = torch.cat([stream.flatten(1).abs() for stream in found.values()], dim=1).mean(1)
            means = dict.fromkeys(found, mean)
        else:
            means = {name: stream.flatten(1).abs().mean(1) for name, stream in found.items()}
        return {name: per_clip(means[name] / self._allowed_share(stream), stream) for name, stream in found.items()}

    def _allowed_share(self, stream: Float[Tensor, "batch segments *shape"]) -> float:
        """Fraction of the segments that the threat allows to change."""
        return 1.0 if self.threat.segments is None else len(self.threat.segments) / stream.shape[1]
