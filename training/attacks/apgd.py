"""APGD and APGD-T: gradient ascent that chooses its step size itself, without a target and towards wrong classes."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveInt
from torch import nn

from training.attacks.base import Attack, TargetableAttack
from training.attacks.engine.adaptive_ascent import AdaptiveAscent
from training.attacks.engine.best_attempt import BestAttempt
from training.attacks.engine.losses import LossName, likely_wrong_classes, too_few_classes
from training.attacks.engine.starts import start_at_radius
from training.batch import Batch
from training.passes import Passes
from training.threat import ThreatModel


class APGD(TargetableAttack):
    """Auto-PGD: ascent with momentum whose step size, 2 epsilon at first, halves where the loss stops growing.

    z = P(x_k + eta g(x_k)), x_{k+1} = P(x_k + 0.75 (z - x_k) + 0.25 (x_k - x_{k-1})), g the steepest step in the
    threat's norm (Croce & Hein 2020, arXiv:2003.01690, Algorithm 1). At checkpoints, the first after 22 % of the steps,
    the next ever 3 % closer down to 6 %, a clip's eta is halved and the clip returns to its best point if fewer than
    75 % of the steps since the last one raised its loss, or if neither eta nor its highest loss have changed.
    One forward and one backward pass per step, and one forward pass.

    Differences from the source: both modalities move together, eta in units of each one's epsilon, with one eta per
    clip. A point that fools the model is kept even where another has a higher loss, as AutoAttack's code does: of those
    met the one with the largest margin. Cross-entropies are compared by their log-odds (`exact_loss`), which no
    confidence rounds to 0. A checkpoint acts as soon as its last step has been measured, one step before Algorithm 1
    would. A clip whose gradient carries no information takes a random step.
    """

    name: Literal["apgd"] = "apgd"
    steps: PositiveInt = 100
    """Gradient steps of each start."""
    restarts: PositiveInt = 1
    """Random starts; clips that are fooled are left out of the next."""
    loss: LossName = "cross_entropy"
    """The loss that the attack maximises: cross-entropy, probability of being wrong, margin of the best wrong class, or
    logits ratio."""

    @property
    def cost_untargeted(self) -> Passes:
        """One pass per step, and a look at the last point, per start."""
        return Passes(self.steps + 1, self.steps) * self.restarts

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Climb from each random start."""
        best_attempt = BestAttempt(model, batch, threat)
        climb = AdaptiveAscent(steps=self.steps, loss=self.loss)
        for restart in range(self.restarts):
            rows = best_attempt.remaining
            if not len(rows):
                break
            clips = batch.select(rows)
            start = start_at_radius(clips, threat, generator, f"start {restart}")
            *_, last = climb(model, start, clips, clips, threat, generator, f"restart {restart}")
            best_attempt.update(rows, last.result, last.margins)
        return best_attempt.best


class APGDT(Attack):
    """Targeted Auto-PGD: maximises the targeted DLR loss towards each of the likeliest wrong classes in turn.

    DLR_t = (z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2), z_(i) the i-th largest logit (Croce & Hein 2020,
    arXiv:2003.01690, Section 4.1, Eq. 7), climbed as in `APGD`; any wrong class counts as a success. One forward and
    one backward pass per step and target, and a look at the clean clip.

    Differences from the source: those of `APGD`. The targets are ranked by the clean clip's scores, as there; a clip
    that is fooled is left out of all further targets. With two or three classes, where the ratio has no meaning, the
    margin z_t - max_{i != t} z_i takes its place.
    """

    name: Literal["apgdt"] = "apgdt"
    steps: PositiveInt = 100
    """Gradient steps towards each target."""
    num_targets: PositiveInt = 9
    """Wrong classes to try, the likeliest first; all of them if the model has fewer."""
    restarts: PositiveInt = 1
    """Random starts towards each target."""

    @property
    def cost(self) -> Passes:
        """A look at the clean clip; per target and start one pass per step, and a look at the last point."""
        return Passes(1, 0) + Passes(self.steps + 1, self.steps) * (self.restarts * self.num_targets)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Climb towards each target from each random start."""
        with torch.no_grad():
            logits = model(batch.video, batch.audio).logits
        targets = likely_wrong_classes(logits, batch, self.num_targets)
        best_attempt = BestAttempt(model, batch, threat)
        has_ratio = not too_few_classes("dlr", logits.shape[1], is_targeted=True)
        climb = AdaptiveAscent(steps=self.steps, loss="dlr" if has_ratio else "margin")
        for restart in range(self.restarts):
            for rank in range(targets.shape[1]):
                rows = best_attempt.remaining
                if not len(rows):
                    return best_attempt.best
                clips = batch.select(rows)
                aim = clips.with_targets(targets[rows, rank])
                purpose = f"target {rank} restart {restart}"
                start = start_at_radius(clips, threat, generator, purpose)
                *_, last = climb(model, start, clips, aim, threat, generator, purpose)
                best_attempt.update(rows, last.result, last.margins)
        return best_attempt.best
