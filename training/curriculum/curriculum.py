"""Curricula: everything that grows from easy to hard while training goes on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pydantic import model_validator

from preprocessing.settings import Settings
from training.attacks import IterativeAttack
from training.curriculum.masking import Masking, MaskLayout
from training.curriculum.schedules import AnySchedule, Constant, Linear, Schedule

RANGES: Mapping[str, tuple[float, float]] = {
    "attack_steps": (0.5, math.inf),
    "sampling_ratio": (1e-9, 1.0),
    "epsilon_factor": (0.0, math.inf),
    "mask_ratio": (0.0, 1.0 - 1e-9),
    "dropout_ratio": (0.0, 1.0 - 1e-9),
}
"""The settings of curricula that are schedules, with the smallest and the largest value that each may take."""


class Curriculum(Settings):
    """Schedules from easy to hard over a training, of what every attack has; an unset one leaves things as they are."""

    sampling_ratio: AnySchedule | None = None
    """Share of segments that are attacked, in (0, 1]; unset = `crafting.sampling_ratio` throughout."""
    epsilon_factor: AnySchedule | None = None
    """Share of the threat model's budgets, which may exceed 1; unset = the budgets themselves."""

    @model_validator(mode="after")
    def _values_are_in_range(self) -> Curriculum:
        wrong = [
            f"{name}: {value:g} is outside [{RANGES[name][0]:g}, {RANGES[name][1]:g}]"
            for name, schedule in self.schedules.items()
            for value in schedule.values
            if not RANGES[name][0] <= value <= RANGES[name][1]
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The schedules that are set, by name."""
        found = {name: getattr(self, name, None) for name in RANGES}
        return {name: schedule for name, schedule in found.items() if schedule is not None}

    def for_next_epoch(self, accuracies: Sequence[float]) -> Curriculum:
        """The curriculum of the next epoch: robust accuracies on validation decide where adaptive schedules stand."""
        stood = {name: schedule.for_next_epoch(accuracies) for name, schedule in self.schedules.items()}
        return self.model_copy(update=stood)

    def at(self, progress: float) -> dict[str, float]:
        """The value at `progress` in [0, 1] of every schedule that is set, by name."""
        values = {name: float(schedule.at(progress)) for name, schedule in self.schedules.items()}
        if "attack_steps" in values:
            values["attack_steps"] = float(max(1, round(values["attack_steps"])))
        return values


class StepsCurriculum(Curriculum):
    """The same for an attack that takes several steps."""

    attack_steps: AnySchedule | None = None
    """Gradient steps of the attack, rounded; unset = `attack.steps` throughout."""


class AttackShare(Settings):
    """One of several attacks, and the share of the clips that meet it."""

    attack: IterativeAttack
    """The attack; its number of steps comes from the curriculum."""
    share: AnySchedule
    """Share of the clips, in [0, 1]: each clip draws its attack in each epoch anew."""


class FullCurriculum(StepsCurriculum):
    """Schedules of all levels: data, attack and model. All of it is off at evaluation (arXiv:2502.11858, Section 5)."""

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
    def _shares_are_shares(self) -> FullCurriculum:
        wrong = [
            f"other_attacks.{number}.share: {value:g} is outside [0, 1]"
            for number, other in enumerate(self.other_attacks)
            for value in other.share.values
            if not 0.0 <= value <= 1.0
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @model_validator(mode="after")
    def _shares_leave_a_rest(self) -> FullCurriculum:
        for percent in range(101):
            total = math.fsum(other.share.greatest_at(percent / 100) for other in self.other_attacks)
            if total > 1.0 + 1e-9:
                raise ValueError(
                    f"other_attacks: the shares add up to {total:g} at progress {percent / 100:g}; allowed: at most 1, "
                    "the objective's own attack has the rest"
                )
        return self

    def for_next_epoch(self, accuracies: Sequence[float]) -> Curriculum:
        """The curriculum of the next epoch, the shares of the other attacks included."""
        others = tuple(
            other.model_copy(update={"share": other.share.for_next_epoch(accuracies)}) for other in self.other_attacks
        )
        return super().for_next_epoch(accuracies).model_copy(update={"other_attacks": others})

    def at(self, progress: float) -> dict[str, float]:
        """Every schedule's value at `progress` in [0, 1], by name, and the shares of the other attacks."""
        shares = (float(other.share.at(progress)) for other in self.other_attacks)
        return super().at(progress) | dict(zip(self.share_names, shares, strict=True))

    @property
    def share_names(self) -> tuple[str, ...]:
        """The names under which `at` gives the shares of the other attacks, in their order."""
        return tuple(f"share_{number}_{other.attack.name}" for number, other in enumerate(self.other_attacks, 1))
