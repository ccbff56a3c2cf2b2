"""PGD-AT: cross-entropy on clips attacked by PGD."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from training.attacks.pgd import PGD
from training.batch import Batch
from training.objectives.base import Loss, Objective, bare, classification
from training.threat import ThreatModel


class PGDAT(Objective):
    """Adversarial training: min over weights of max over the ball (Madry et al. 2018, Eq. 2.1, arXiv:1706.06083).

    Costs `attack.steps` + 1 passes per batch, over all segments.
    """

    name: Literal["pgd_at"] = "pgd_at"
    attack: PGD = PGD(steps=5)
    """The inner maximisation."""
    threat: ThreatModel = ThreatModel()
    """The ball to defend."""

    def __call__(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> Loss:
        """Cross-entropy on the attacked batch."""
        return classification(model, self.attack(bare(model), batch, self.threat, generator))
