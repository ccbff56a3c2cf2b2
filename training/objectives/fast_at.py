"""Fast-AT: adversarial training by one step from a random start."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat

from training.attacks.base import Attack
from training.attacks.pgd import PGD
from training.objectives.crafting_objective import AdversarialTraining


class FastAT(AdversarialTraining):
    """Training on FGSM-RS: u ~ U(-epsilon, epsilon), x' = P(x + u + alpha sign g(x + u)) (Wong et al. 2020).

    Algorithm 3 of arXiv:2001.03994, which is PGD of one step. Costs 2 forward and 2 backward passes per batch. What
    differs: the step is taken in evaluation mode, from a start that is inside the box. Their cyclic learning rate and
    early stopping belong to the training, not to the objective.

    Single-step training can overfit catastrophically: its own attack is resisted while PGD succeeds on every clip.
    Validation by PGD, which chooses the best epoch, sees it.
    """

    name: Literal["fast_at"] = "fast_at"
    step_size: PositiveFloat = 1.25
    """alpha, the step in units of epsilon."""

    def attacks_at(self, progress: float) -> tuple[Attack, ...]:
        """FGSM from a random start."""
        return (PGD(steps=1, step_size=self.step_size),)
