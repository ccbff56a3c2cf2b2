"""The loop that every gradient attack runs: follow a gradient, stay inside the budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from training.attacks.base import uniform_like
from training.batch import MODALITIES, Batch
from training.threat import ThreatModel, per_clip

LossName = Literal["cross_entropy", "margin"]
ObjectiveGradient = Callable[[nn.Module, Batch, list[Tensor]], list[Tensor]]
"""(model, batch, the streams to differentiate) -> gradients of what the attack wants to grow, one per stream."""


@dataclass(frozen=True)
class Ascent:
    """How the loop moves; step sizes are in units of epsilon, so one attack serves every threat model."""

    steps: int
    step_size: float
    momentum: float = 0.0
    random_start: bool = False

    def __call__(
        self,
        model: nn.Module,
        batch: Batch,
        threat: ThreatModel,
        generator: torch.Generator,
        gradient: ObjectiveGradient,
    ) -> Batch:
        """Climb `gradient` from the clean clips, or from a random point of the ball."""
        perturbed = self._start(batch, threat, generator)
        velocity: dict[str, Tensor] = {}
        for step in range(self.steps):
            moved = {}
            for name, found in _gradients(model, perturbed, threat, gradient).items():
                stream = getattr(perturbed, name)
                usable = _usable(found, batch.keys, generator, f"{name} gradient {step}")
                if self.momentum:
                    usable = usable / per_clip(usable.flatten(1).abs().mean(1), usable)
                    usable = velocity[name] = self.momentum * velocity.get(name, torch.zeros_like(usable)) + usable
                moved[name] = stream + self.step_size * getattr(threat, name) * _direction(usable, threat)
            perturbed = threat.project(
                batch.with_streams(moved.get("video", batch.video), moved.get("audio", batch.audio)), around=batch
            )
        return perturbed

    def _start(self, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        if not self.random_start:
            return batch
        video = uniform_like(batch.video, batch.keys, generator, "video start")
        audio = uniform_like(batch.audio, batch.keys, generator, "audio start")
        if threat.norm == "l2":  # a random direction at full length; the linf ball is filled by the noise as it is
            video = video / per_clip(threat.length(video), video)
            audio = audio / per_clip(threat.length(audio), audio)
        return threat.project(
            batch.with_streams(batch.video + threat.video * video, batch.audio + threat.audio * audio), around=batch
        )


def default_step_size(steps: int, *, random_start: bool) -> float:
    """Step in units of epsilon: the border in `steps` steps, or any point of the ball from a random one.

    2.5 / steps is Madry et al.'s choice (arXiv:1706.06083, Section 5); the cap 1.25 is single-step training's
    (Wong et al. 2020, arXiv:2001.03994, Section 4.2).
    """
    return min(1.25, 2.5 / steps) if random_start else 1.0 / steps


def classification_gradient(loss: LossName = "cross_entropy") -> ObjectiveGradient:
    """The gradient of the classification loss alone."""

    def gradient(model: nn.Module, batch: Batch, streams: list[Tensor]) -> list[Tensor]:
        logits = model(batch.video, batch.audio).logits
        # Summed, not averaged: a clip's gradient must not depend on its batch, nor vanish in half precision.
        return input_gradients(classification_loss(logits, batch.labels, loss).sum(), streams)

    return gradient


def input_gradients(total: Tensor, streams: list[Tensor]) -> list[Tensor]:
    """Gradients of a scalar at the streams: zero at a modality that the model does not look at."""
    return list(torch.autograd.grad(total, streams, materialize_grads=True))


def classification_loss(
    logits: Float[Tensor, "batch classes"], labels: Tensor, loss: LossName
) -> Float[Tensor, " batch"]:
    """What the attacker wants to grow, per clip.

    `cross_entropy`, or `margin`: the best wrong logit minus the right one (Carlini & Wagner 2017, arXiv:1608.04644,
    Section V, f_6), which does not vanish on confident clips.
    """
    if loss == "cross_entropy":
        return functional.cross_entropy(logits, labels, reduction="none")
    right = functional.one_hot(labels, logits.shape[1]).bool()
    return logits.masked_fill(right, -torch.inf).amax(1) - logits[right]


def _gradients(model: nn.Module, batch: Batch, threat: ThreatModel, gradient: ObjectiveGradient) -> dict[str, Tensor]:
    """Gradients of the modalities that have a budget, and of no others."""
    names = [name for name in MODALITIES if getattr(threat, name) > 0]
    streams = {name: getattr(batch, name).detach().requires_grad_(name in names) for name in MODALITIES}
    found = gradient(model, batch.with_streams(**streams), [streams[name] for name in names])
    return dict(zip(names, found, strict=True))


def _usable(gradient: Tensor, keys: tuple[str, ...], generator: torch.Generator, purpose: str) -> Tensor:
    """The gradient with each clip's largest value scaled to 1, so that no norm of it can vanish or overflow.

    A clip whose gradient is all zero or not finite gets noise instead: it must not look robust.
    """
    finite = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
    largest = finite.flatten(1).abs().amax(1)
    empty = largest == 0
    if bool(empty.any()):
        lost = tuple(key for key, is_lost in zip(keys, empty.tolist(), strict=True) if is_lost)
        finite[empty] = uniform_like(finite[empty], lost, generator, purpose)
        largest = finite.flatten(1).abs().amax(1)
    return finite / per_clip(largest, finite)


def _direction(gradient: Tensor, threat: ThreatModel) -> Tensor:
    """The steepest step of length 1 in the threat's norm."""
    if threat.norm == "linf":
        return gradient.sign()
    return gradient / per_clip(threat.length(gradient), gradient)
