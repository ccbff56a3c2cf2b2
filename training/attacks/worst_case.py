"""The worst case: per clip the best of several attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import nn

from training.attacks.apgd import APGD, APGDT
from training.attacks.base import Attack
from training.attacks.engine.best_attempt import BestAttempt
from training.attacks.engine.losses import UnsuitedModelError
from training.attacks.fab import FAB
from training.attacks.square import Square
from training.attacks.tma import TMA
from training.batch import Batch
from training.models.classifier import Outputs
from training.passes import Passes
from training.threat import ThreatModel

if TYPE_CHECKING:
    from training.attacks.base import Attack as AnyAttack  # at run time `any_attack.py` says which attacks there are


class WorstCase(Attack):
    """Several attacks one after the other, each on the clips that none before has fooled.

    Per clip the result with the largest margin, max_i margin(A_i(x)) (the ensemble of AutoAttack, Croce & Hein 2020,
    arXiv:2003.01690, Section 6). Costs the sum of its attacks, and one forward pass after each to measure it.

    Differences from the source: its four attacks are the default, after one that is ours; any others can be named,
    whole ensembles and searches for a minimal budget included. An attack that the model has no outputs for (TMA where
    there are logits alone) is left out. Where nothing fools a clip, AutoAttack returns it untouched; here it is the
    attempt that came nearest.
    """

    name: Literal["worst_case"] = "worst_case"
    attacks: tuple[AnyAttack, ...] = Field(default=(TMA(), APGD(), APGDT(), FAB(), Square()), min_length=1)
    """Attacks in the order in which they are tried: the cheapest first costs least, and changes no clip's outcome."""

    def obstacle(self, outputs: Outputs) -> str:
        """The first attack's, if no attack can be run."""
        obstacles = [attack.obstacle(outputs) for attack in self.attacks]
        return obstacles[0] if all(obstacles) else ""

    @property
    def cost(self) -> Passes:
        """All attacks, and a look at what each has found."""
        total = Passes()
        for attack in self.attacks:
            total = total + attack.cost + Passes(1, 0)
        return total

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Run every attack on the clips that are left.

        Raises:
            UnsuitedModelError: if none can be run on this model.
        """
        best_attempt = BestAttempt(model, batch, threat)
        obstacles: list[UnsuitedModelError] = []
        for attack in self.attacks:
            rows = best_attempt.remaining
            if not len(rows):
                break
            try:
                attempt = attack(model, batch.select(rows), threat, generator)
            except UnsuitedModelError as obstacle:
                obstacles.append(obstacle)
            else:
                best_attempt.evaluate(rows, attempt)
        if len(obstacles) == len(self.attacks):
            raise obstacles[0]
        return best_attempt.best
