"""The loop of APGD: a step size per clip that is halved where the loss stops growing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from training.attacks.engine.best_attempt import attack_margin, chosen
from training.attacks.engine.gradients import Gradient, Streams, direction, normalised_or_noise, scored_gradient
from training.attacks.engine.losses import LossName, exact_loss
from training.batch import MODALITIES, Batch, per_clip
from training.threat import ThreatModel

PerClip = Float[Tensor, " batch"]

MOMENTUM = 0.75
"""alpha: what a step keeps of the projected gradient step; the rest is the step before (Section 3.2)."""
RISING_SHARE = 0.75
"""rho: a clip whose loss grew in fewer of the steps since the last checkpoint has its step size halved."""


@dataclass
class Climb:
    """The state of the climb: each clip's point, its best point, and what its step size is decided by."""

    here: Batch
    before: Batch
    gradient: Gradient
    loss: PerClip
    best: Batch
    best_gradient: Gradient
    best_loss: PerClip
    result: Batch
    """The point to return: that of largest margin among those that fool the model, else that of highest loss."""
    margins: Float[Tensor, " batch"]
    """The margin of `result`, positive where the model is fooled."""
    step_size: PerClip
    """In units of epsilon."""
    num_rises: PerClip
    """Steps since the last checkpoint in which the loss grew."""
    loss_at_checkpoint: PerClip
    """Highest loss when the last checkpoint was reached."""
    was_halved: Bool[Tensor, " batch"]
    """True where the step size was halved at the last checkpoint."""


@dataclass(frozen=True)
class AdaptiveAscent:
    """APGD (Croce & Hein 2020, arXiv:2003.01690, Algorithm 1) in the product of both modalities' balls."""

    steps: int
    loss: LossName

    def __call__(
        self,
        model: nn.Module,
        start: Batch,
        clean: Batch,
        aim: Batch,
        threat: ThreatModel,
        generator: torch.Generator,
        purpose: str,
    ) -> Iterator[Climb]:
        """Climb the loss towards the targets of `aim` from `start`; margins are those of `clean` and its targets.

        Yields the one state of the climb, after each step anew, its `result` inside budget and box. The whole climb
        takes `steps` + 1 forward and `steps` backward passes.
        """
        climb = self._begin(model, start, clean, aim, threat)
        checkpoints = checkpoints_of(self.steps)
        passed = 0
        for step in range(1, self.steps + 1):
            unit = self._unit_step(climb, clean, threat, generator, f"{purpose} gradient {step}")
            self._move(climb, unit, clean, threat, is_first=step == 1)
            self._look(climb, model, clean, aim, threat, is_last=step == self.steps)
            if step in checkpoints and step < self.steps:
                _adapt(climb, since=step - passed)
                passed = step
            yield climb

    def _begin(self, model: nn.Module, start: Batch, clean: Batch, aim: Batch, threat: ThreatModel) -> Climb:
        here = threat.project(start, around=clean)
        logits, gradient = scored_gradient(model, here.with_targets(aim.targets), threat.modalities, self.loss)
        loss = exact_loss(logits, aim, self.loss)
        return Climb(
            here=here,
            before=here,
            gradient=gradient,
            loss=loss,
            best=here,
            best_gradient=gradient,
            best_loss=loss,
            result=here,
            margins=attack_margin(logits, clean),
            step_size=torch.full_like(loss, 2.0),
            num_rises=torch.zeros_like(loss),
            loss_at_checkpoint=loss,
            was_halved=torch.ones_like(loss, dtype=torch.bool),  # the first checkpoint has no step size to compare to
        )

    def _unit_step(
        self, climb: Climb, clean: Batch, threat: ThreatModel, generator: torch.Generator, purpose: str
    ) -> Streams:
        """The steepest step of one epsilon in each modality."""
        found = normalised_or_noise(climb.gradient, clean, threat, generator, purpose).streams
        return {name: threat.epsilon(name) * direction(stream, threat) for name, stream in found.items()}

    def _move(self, climb: Climb, unit: Streams, clean: Batch, threat: ThreatModel, *, is_first: bool) -> None:
        """z = P(x + eta g), then P(x + alpha (z - x) + (1 - alpha)(x - x_before)); the first step is z."""
        here = climb.here
        ahead: Streams = {name: here.stream(name) for name in MODALITIES}
        for name, step in unit.items():
            ahead[name] = here.stream(name) + per_clip(climb.step_size, step) * step
        reached = threat.project(here.with_streams(**ahead), around=clean)
        if not is_first:
            mixed: Streams = {
                name: here.stream(name)
                + MOMENTUM * (reached.stream(name) - here.stream(name))
                + (1 - MOMENTUM) * (here.stream(name) - climb.before.stream(name))
                for name in MODALITIES
            }
            reached = threat.project(here.with_streams(**mixed), around=clean)
        climb.before, climb.here = here, reached

    def _look(
        self, climb: Climb, model: nn.Module, clean: Batch, aim: Batch, threat: ThreatModel, *, is_last: bool
    ) -> None:
        """Take loss, margin and gradient at the new point, and keep it where it is the best."""
        here = climb.here.with_targets(aim.targets)
        if is_last:
            with torch.no_grad():
                logits = model(here.video, here.audio).logits
        else:
            logits, climb.gradient = scored_gradient(model, here, threat.modalities, self.loss)
        loss, margins = exact_loss(logits, aim, self.loss), attack_margin(logits, clean)
        climb.num_rises = climb.num_rises + (loss > climb.loss)
        climb.loss = loss
        is_higher = loss > climb.best_loss
        has_fooled, fools = climb.margins > 0, margins > 0
        is_result = torch.where(has_fooled, margins > climb.margins, fools | is_higher)
        climb.result = chosen(is_result, climb.here, climb.result)
        climb.margins = torch.where(is_result, margins, climb.margins)
        climb.best = chosen(is_higher, climb.here, climb.best)
        climb.best_loss = torch.where(is_higher, loss, climb.best_loss)
        climb.best_gradient = _gradient_where(is_higher, climb.gradient, climb.best_gradient)


def checkpoints_of(steps: int) -> set[int]:
    """Steps after which step sizes are reconsidered: w_j = ceil(p_j steps) with p_1 = 0.22 and then
    p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06) (Section 3.2)."""
    found, last, share = set(), 0, 22
    while share <= 100:  # in hundredths, so that no rounding of 0.22 + 0.19 moves a checkpoint
        found.add(math.ceil(share * steps / 100))
        last, share = share, share + max(share - last - 3, 6)
    return found


def _adapt(climb: Climb, *, since: int) -> None:
    """Halve a clip's step size and send it back to its best point where the last `since` steps led nowhere.

    Condition 1: the loss grew in fewer than rho of them. Condition 2: neither step size nor highest loss have changed
    since the last checkpoint.
    """
    is_stuck = ~climb.was_halved & (climb.best_loss <= climb.loss_at_checkpoint)
    halve = (climb.num_rises < RISING_SHARE * since) | is_stuck
    climb.step_size = torch.where(halve, climb.step_size / 2, climb.step_size)
    climb.here = chosen(halve, climb.best, climb.here)
    climb.gradient = _gradient_where(halve, climb.best_gradient, climb.gradient)
    climb.loss = torch.where(halve, climb.best_loss, climb.loss)
    climb.was_halved = halve
    climb.loss_at_checkpoint = climb.best_loss
    climb.num_rises = torch.zeros_like(climb.num_rises)


def _gradient_where(is_first: Bool[Tensor, " batch"], first: Gradient, second: Gradient) -> Gradient:
    streams: Streams = {
        name: torch.where(per_clip(is_first, stream), first.streams[name], stream)
        for name, stream in second.streams.items()
    }
    return Gradient(streams, torch.where(is_first, first.log_scale, second.log_scale))
