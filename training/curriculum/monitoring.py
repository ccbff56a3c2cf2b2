"""Decisions to end training early or to go back, by the robust accuracies of finished epochs and nothing else.

So every worker decides alike, and a resumed training decides again what it had decided before. The accuracies are those
on the validation split, from 0 to 1, in order of the epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from preprocessing.settings import Settings

ROUNDING = 1e-9
"""Accuracies that differ by less are the same share of clips."""


class EarlyStopping(Settings):
    """Ends a training that has stopped gaining: robust accuracy peaks early (Rice et al. 2020, arXiv:2002.11569)."""

    patience: PositiveInt = 5
    """Epochs without a gain after which training ends."""
    min_delta: NonNegativeFloat = 0.0
    """A gain is more than so much above the last gain's robust accuracy."""

    def reason(self, accuracies: Sequence[float]) -> str:
        """The reason why training ends after these epochs; empty if it goes on."""
        waited = epochs_without_gain(accuracies, min_gain=self.min_delta)
        if waited < self.patience:
            return ""
        return (
            f"robust accuracy on validation has not gained more than {self.min_delta:.1%} for {waited} epochs, since "
            f"epoch {len(accuracies) - waited} ({accuracies[-1 - waited]:.1%}); early_stopping.patience={self.patience}"
        )


class OverfittingMonitor(Settings):
    """Looks out for catastrophic overfitting: single-step training that suddenly loses its robustness to PGD.

    Wong et al. 2020, arXiv:2001.03994, Section 5, end a training when PGD accuracy on held-out clips falls by more than
    0.2. Here it is the validation's robust accuracy, after each epoch, against the best epoch's.
    """

    max_drop: float = Field(default=0.2, ge=0, lt=1)
    """A fall by more than so much below the best robust accuracy so far is overfitting."""
    action: Literal["roll_back", "stop"] = "stop"
    """The consequence: the end of training, or the next epoch starts from weights and optimizer of the best one.

    The fallen epoch counts as one of `epochs`: the number of the next one, and so its order of clips and its attacks'
    randomness, is another than what followed the best epoch before."""
    max_roll_backs: NonNegativeInt = 3
    """Roll-backs after which the next fall ends training."""
    learning_rate_factor: float = Field(default=0.5, gt=0, le=1)
    """Each roll-back multiplies the rest of the learning rates by so much: what failed is not just tried again."""

    def collapses(self, accuracies: Sequence[float]) -> list[int]:
        """The epochs, counted from 1, after which robust accuracy lay too far below the best before."""
        return [
            number
            for number in range(2, len(accuracies) + 1)
            if max(accuracies[: number - 1]) - accuracies[number - 1] > self.max_drop + ROUNDING
        ]


@dataclass(frozen=True)
class Decision:
    """The consequence of the epochs that are finished."""

    stop: str = ""
    """The reason why training ends; empty if it goes on."""
    roll_back: bool = False
    """The next epoch starts from the best one instead of the last one."""
    roll_backs: int = 0
    """Roll-backs so far, this one included."""
    learning_rate_factor: float = 1.0
    """Their effect on the learning rate."""


def decide(
    accuracies: Sequence[float], *, early_stopping: EarlyStopping | None, overfitting: OverfittingMonitor | None
) -> Decision:
    """Decide how training goes on after epochs of these robust accuracies."""
    decision = _after_falls(accuracies, overfitting) if overfitting else Decision()
    reason = early_stopping.reason(accuracies) if early_stopping else ""
    if reason and not decision.stop:
        return replace(decision, stop=reason, roll_back=False)
    return decision


def _after_falls(accuracies: Sequence[float], monitor: OverfittingMonitor) -> Decision:
    collapses = monitor.collapses(accuracies)
    has_fallen = bool(collapses) and collapses[-1] == len(accuracies)
    allowed = monitor.max_roll_backs if monitor.action == "roll_back" else 0
    stop = ""
    if has_fallen and len(collapses) > allowed:
        stop = (
            f"catastrophic overfitting: robust accuracy on validation fell from {max(accuracies):.1%} to "
            f"{accuracies[-1]:.1%}, by more than overfitting.max_drop={monitor.max_drop:g}"
        )
        stop += f", after {allowed} roll-backs" if allowed else ""
    roll_backs = min(len(collapses), allowed)
    return Decision(stop, has_fallen and not stop, roll_backs, monitor.learning_rate_factor**roll_backs)


def epochs_without_gain(accuracies: Sequence[float], *, min_gain: float) -> int:
    """Epochs that have passed since accuracy last rose by more than `min_gain` above what it had risen to before.

    The first epoch is a gain; no epochs at all are none without.
    """
    waited, best = 0, float("-inf")
    for accuracy in accuracies:
        waited += 1
        if accuracy > best + min_gain + ROUNDING:
            waited, best = 0, accuracy
    return waited
