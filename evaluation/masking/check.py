"""The answer to one question about an evaluation, and how it is decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool

from evaluation.config import CheckLimits
from evaluation.intervals import chance_of_excess
from preprocessing.settings import Settings

Survivors = Bool[np.ndarray, " clips"]


class Check(Settings):
    """One question about the evaluation itself."""

    name: str
    outcome: Literal["passed", "fired", "not_run"]
    """`fired`: the robust accuracies are probably too high, whatever their intervals say."""
    question: str
    """The question that was checked."""
    finding: str
    """The answer, with numbers."""


@dataclass(frozen=True)
class AttackOutcome:
    """The clips that withstood one measurement, with its name and cost."""

    label: str
    threat: str
    backward_passes: int | float
    is_robust: Survivors
    is_transferred: bool = False
    """Crafted on another model."""

    @property
    def is_white_box(self) -> bool:
        """It follows the gradients of the model itself."""
        return self.backward_passes > 0 and not self.is_transferred


def decided(name: str, question: str, *, fired: bool, finding: str) -> Check:
    """The check with its answer."""
    return Check(name=name, outcome="fired" if fired else "passed", question=question, finding=finding)


def not_run(name: str, question: str, reason: str) -> Check:
    """The check without an answer, and why."""
    return Check(name=name, outcome="not_run", question=question, finding=reason)


def is_ahead(more: Survivors, less: Survivors, *, significance: float, limits: CheckLimits) -> bool:
    """True if `more` is ahead by more than the smallest effect and by more than chance explains."""
    ahead = float(more.mean() - less.mean())
    return ahead > limits.min_effect and chance_of_excess(more, less) < significance
