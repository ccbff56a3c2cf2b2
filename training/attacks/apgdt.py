"""APGD-T: APGD sent to one wrong class after the other."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveInt
from torch import nn

from training.attacks.adaptive_ascent import AdaptiveAscent
from training.attacks.base import Attack, Cost
from training.attacks.contest import Contest
from training.attacks.losses import likely_wrong_classes
from training.attacks.starts import start_at_radius
from training.batch import Batch
from training.threat import ThreatModel


class APGDT(Attack):
    """Targeted Auto-PGD: maximises the targeted DLR loss towards each of the likeliest wrong classes in turn.

    DLR_t = (z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2), z_(i) the i-th largest logit (Croce & Hein 2020,
    arXiv:2003.01690, Section 4.1, Eq. 7), climbed as in `APGD`; any wrong class counts as a success. One forward and
    one backward pass per step and target, and a look at the clean clip.

    Differences from the source: those of `APGD`. The targets are ranked by the clean clip's scores, as there; a clip
    that is fooled is left out of all further targets.
    """

    name: Literal["apgdt"] = "apgdt"
    steps: PositiveInt = 100
    """Gradient steps towards each target."""
    num_targets: PositiveInt = 9
    """Wrong classes to try, the likeliest first; all of them if the model has fewer."""
    restarts: PositiveInt = 1
    """Random starts towards each target."""

    @property
    def cost(self) -> Cost:
        """A look at the clean clip; per target and start one pass per step, and a look at the last point."""
        return Cost(1, 0) + Cost(self.steps + 1, self.steps) * (self.restarts * self.num_targets)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Climb towards each target from each random start.

        Raises:
            ValueError: if the model has fewer than four classes.
        """
        with torch.no_grad():
            logits = model(batch.video, batch.audio).logits
        if logits.shape[1] < 4:
            raise ValueError(
                f"apgdt needs at least 4 classes, the model has {logits.shape[1]}; use apgd with loss='margin' there"
            )
        targets = likely_wrong_classes(logits, batch, self.num_targets)
        contest = Contest(model, batch, threat)
        climb = AdaptiveAscent(steps=self.steps, loss="dlr")
        for restart in range(self.restarts):
            for rank in range(targets.shape[1]):
                rows = contest.remaining
                if not len(rows):
                    return contest.best
                clips = batch.select(rows)
                aim = clips.with_targets(targets[rows, rank])
                purpose = f"target {rank} restart {restart}"
                start = start_at_radius(clips, threat, generator, purpose)
                contest.enter_judged(rows, *climb(model, start, clips, aim, threat, generator, purpose))
        return contest.best
