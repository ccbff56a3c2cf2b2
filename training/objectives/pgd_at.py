"""PGD-AT: cross-entropy on clips attacked by PGD."""

from __future__ import annotations

from typing import Literal

from training.attacks.pgd import PGD
from training.objectives.crafting_objective import AdversarialTraining, IterativeObjective


class PGDAT(IterativeObjective, AdversarialTraining):
    """Adversarial training: min over weights of E max over the ball of CE (Madry et al. 2018, arXiv:1706.06083).

    Equation 2.1 there. With K = `attack.steps` it costs K + 1 forward and K + 1 backward passes per batch. What
    differs: the attack runs in evaluation mode, so that batch normalisation does not mix the clips while they are
    crafted.
    """

    name: Literal["pgd_at"] = "pgd_at"
    attack: PGD = PGD(steps=5)
    """The inner maximisation."""
