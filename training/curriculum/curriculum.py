"""A curriculum: everything that grows from easy to hard while training goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import model_validator

from preprocessing.settings import Settings
from training.attacks import IterativeAttack
from training.curriculum.masking import Masking, MaskLayout
from training.curriculum.schedules import AnySchedule, Constant, Linear

SCHEDULES = ("attack_steps", "sampling_ratio", "epsilon_factor", "mask_ratio", "dropout_ratio")
"""The settings of a curriculum that are schedules."""


class AttackShare(Settings):
    """One of several attacks, and the share of the clips that meet it."""

    attack: IterativeAttack
    """The attack; its number of steps comes from the curriculum."""
    share: AnySchedule
    """Share of the clips, in [0, 1]: each clip draws its attack in each epoch anew."""


class Curriculum(Settings):
    """Schedules from easy to hard over a training. All of it is off at evaluation (arXiv:2502.11858, Section 5)."""

    attack_steps: AnySchedule = Linear(start=1, end=5, until=0.75)
    """Attack level: gradient steps of the attack, rounded."""
    sampling_ratio: AnySchedule = Constant(value=0.25)
    """Share of segments that are attacked, in (0, 1]; the others take over their neighbours' perturbation."""
    epsilon_factor: AnySchedule = Constant(value=1.0)
    """Share of the threat model's budgets."""
    other_attacks: tuple[AttackShare, ...] = ()
    """Attacks that take some of the clips; the objective's own attack has the rest."""
    mask_ratio: AnySchedule = Constant(value=0.0)
    """Data level: share of segments that are blanked, in [0, 1)."""
    masking: Masking = "synchronous"
    """`synchronous`: both modalities lose the same segments; `asynchronous`: each its own."""
    mask_layout: MaskLayout = "scattered"
    """`scattered`: blanked segments lie anywhere; `contiguous`: in one stretch, without neighbours to guess from."""
    dropout_ratio: AnySchedule = Constant(value=0.0)
    """Model level: share of feature units that are dropped, in [0, 1)."""

    @model_validator(mode="after")
    def _values_are_in_range(self) -> Curriculum:
        allowed = {
            "attack_steps": (0.5, math.inf),
            "sampling_ratio": (1e-9, 1.0),
            "epsilon_factor": (0.0, math.inf),
            "mask_ratio": (0.0, 1.0 - 1e-9),
            "dropout_ratio": (0.0, 1.0 - 1e-9),
        }
        wrong = [
            f"{name}: {value:g} is outside [{low:g}, {high:g}]"
            for name, (low, high) in allowed.items()
            for value in getattr(self, name).values
            if not low <= value <= high
        ]
        wrong += [
            f"other_attacks.{number}.share: {value:g} is outside [0, 1]"
            for number, other in enumerate(self.other_attacks)
            for value in other.share.values
            if not 0.0 <= value <= 1.0
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @model_validator(mode="after")
    def _shares_leave_a_rest(self) -> Curriculum:
        for percent in range(101):
            total = math.fsum(other.share.greatest_at(percent / 100) for other in self.other_attacks)
            if total > 1.0 + 1e-9:
                raise ValueError(
                    f"other_attacks: the shares add up to {total:g} at progress {percent / 100:g}; allowed: at most 1, "
                    "the objective's own attack has the rest"
                )
        return self

    def for_next_epoch(self, accuracies: Sequence[float]) -> Curriculum:
        """The curriculum of the next epoch: robust accuracies on validation decide where adaptive schedules stand."""
        schedules = {name: getattr(self, name).for_next_epoch(accuracies) for name in SCHEDULES}
        others = tuple(
            other.model_copy(update={"share": other.share.for_next_epoch(accuracies)}) for other in self.other_attacks
        )
        return self.model_copy(update={**schedules, "other_attacks": others})

    def at(self, progress: float) -> dict[str, float]:
        """Every schedule's value at `progress` in [0, 1], by name."""
        values = {name: float(getattr(self, name).at(progress)) for name in SCHEDULES}
        values["attack_steps"] = float(max(1, round(values["attack_steps"])))
        shares = (float(other.share.at(progress)) for other in self.other_attacks)
        return values | dict(zip(self.share_names, shares, strict=True))

    @property
    def share_names(self) -> tuple[str, ...]:
        """The names under which `at` gives the shares of the other attacks, in their order."""
        return tuple(f"share_{number}_{other.attack.name}" for number, other in enumerate(self.other_attacks, 1))
