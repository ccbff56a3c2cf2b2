"""PGD: projected gradient ascent from a random point of the ball."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt, model_validator
from torch import nn

from training.attacks.base import TargetableAttack
from training.attacks.engine.ascent import Ascent, default_step_size
from training.attacks.engine.best_attempt import BestAttempt
from training.attacks.engine.gradients import classification_gradient
from training.attacks.engine.losses import LossName
from training.batch import Batch
from training.passes import Passes
from training.threat import ThreatModel


class PGD(TargetableAttack):
    """Projected gradient ascent, x = P(x + alpha sign g(x)), from a random start (Madry et al. 2018, arXiv:1706.06083).

    Section 2.1 there. One start returns the last point, as in the paper; of several the one with the largest margin.
    """

    name: Literal["pgd"] = "pgd"
    steps: PositiveInt = 10
    """Gradient steps; each costs one forward and one backward pass."""
    step_size: PositiveFloat | None = None
    """Step in units of epsilon; unset = 2.5 / steps, at most 1.25, so that any point of the ball can be reached."""
    random_start: bool = True
    """Start at a random point of the ball instead of at the clean clip."""
    restarts: PositiveInt = 1
    """Random starts; clips that are fooled are left out of the next, and each start costs one more forward pass."""
    loss: LossName = "cross_entropy"
    """The loss that the attack maximises: cross-entropy, probability of being wrong, margin of the best wrong class, or
    logits ratio."""

    @model_validator(mode="after")
    def _restarts_differ(self) -> PGD:
        if self.restarts > 1 and not self.random_start:
            raise ValueError(f"restarts={self.restarts} without random_start would all be the same; set one of them")
        return self

    @property
    def cost_untargeted(self) -> Passes:
        """One pass per step and start, and a look at each start's result if there are several."""
        once = Passes(self.steps + (self.restarts > 1), self.steps)
        return once * self.restarts

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Climb the loss, projecting after every step."""
        if self.restarts == 1:
            return self._climb(model, batch, threat, generator, restart=0)
        best_attempt = BestAttempt(model, batch, threat)
        for restart in range(self.restarts):
            rows = best_attempt.remaining
            if len(rows):
                best_attempt.evaluate(rows, self._climb(model, batch.select(rows), threat, generator, restart=restart))
        return best_attempt.best

    def _climb(
        self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator, *, restart: int
    ) -> Batch:
        ascent = Ascent(
            steps=self.steps,
            step_size=self.step_size or default_step_size(self.steps, random_start=True),
            random_start=self.random_start,
            restart=restart,
        )
        return ascent(model, batch, threat, generator, classification_gradient(self.loss))
