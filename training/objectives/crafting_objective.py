"""Objectives that attack their clips before they take a loss of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial

import torch
from pydantic import model_validator
from torch import nn

from training.attacks import Attack
from training.batch import Batch
from training.crafting import WHOLE, Crafting, craft_mixed
from training.curriculum.curriculum import Curriculum, StepsCurriculum
from training.objectives.base import Classifying, Forward, Loss, LossOf, SingleUpdate
from training.passes import Passes
from training.threat import ThreatModel


class CraftingObjective(SingleUpdate):
    """Attacks every batch inside a threat model and takes one loss; a member says by which attack, and which loss."""

    threat: ThreatModel = ThreatModel()
    """The ball to defend."""
    crafting: Crafting = WHOLE
    """The segments that the attack works on, and what the others take over from them."""
    curriculum: Curriculum = Curriculum()
    """Schedules of the budget and of the share of segments, from easy to hard."""

    @abstractmethod
    def attacks_at(self, progress: float) -> Sequence[Attack]:
        """The inner maximisation at `progress`; of several attacks each clip meets one."""

    def shares_at(self, progress: float) -> Sequence[float]:
        """Shares of the clips that meet the second, third, ... attack; the first has the rest."""
        return ()

    def threat_at(self, progress: float) -> ThreatModel:
        """The ball that is attacked in at `progress`: the one to defend, scaled by the curriculum's factor."""
        return self.threat.scaled(self.settings_at(progress).get("epsilon_factor", 1.0))

    def crafting_at(self, progress: float) -> Crafting:
        """The crafting at `progress`, with the curriculum's ratio if it has one."""
        ratio = self.settings_at(progress).get("sampling_ratio", self.crafting.sampling_ratio)
        return Crafting.model_validate(self.crafting.model_dump() | {"sampling_ratio": ratio})

    def for_next_epoch(self, accuracies: Sequence[float]) -> CraftingObjective:
        """The objective with the curriculum of the next epoch."""
        return self.model_copy(update={"curriculum": self.curriculum.for_next_epoch(accuracies)})

    def settings_at(self, progress: float) -> dict[str, float]:
        """The curriculum's values at `progress`."""
        return self.curriculum.at(progress)

    @abstractmethod
    def loss(self, forward: Forward, *, clean: Batch, perturbed: Batch) -> Loss:
        """The loss of the crafted clips."""

    def prepare(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> LossOf:
        """Craft, and give the loss of what was crafted."""
        perturbed = craft_mixed(
            model,
            batch,
            self.attacks_at(progress),
            self.shares_at(progress),
            self.threat_at(progress),
            generator,
            crafting=self.crafting_at(progress),
        )
        return partial(self.loss, clean=batch, perturbed=perturbed)

    def crafting_cost(self, *, progress: float, num_segments: int) -> Passes:
        """Cost of the attacks on the sampled segments, each for its share of the clips; none where budgets are 0."""
        if not self.threat_at(progress).modalities:
            return Passes()
        others = self.shares_at(progress)
        sampled = self.crafting_at(progress).share(self.threat, num_segments)
        passes = Passes()
        for attack, clips in zip(self.attacks_at(progress), [1.0 - sum(others), *others], strict=True):
            passes += attack.cost * sampled * clips
        return passes

    @model_validator(mode="after")
    def _crafting_suits_the_attacks(self) -> CraftingObjective:
        self.crafting_at(0.0).refuse(*self.attacks_at(0.0))
        return self

    @model_validator(mode="after")
    def _the_ratio_is_set_in_one_place(self) -> CraftingObjective:
        ratio, usual = self.crafting.sampling_ratio, type(self).model_fields["crafting"].default.sampling_ratio
        if self.curriculum.sampling_ratio is not None and ratio != usual:
            raise ValueError(
                f"crafting.sampling_ratio={ratio:g}: the curriculum decides it, write it as curriculum.sampling_ratio"
            )
        return self


class IterativeObjective(CraftingObjective):
    """Attacks by a method of several steps, whose number a curriculum can move."""

    attack: Attack
    """The inner maximisation."""
    curriculum: StepsCurriculum = StepsCurriculum()
    """Schedules of the attack's steps, of the budget and of the share of segments, from easy to hard."""

    @property
    def attacks(self) -> Sequence[Attack]:
        """The attacks with the steps that they are set to."""
        return (self.attack,)

    def attacks_at(self, progress: float) -> Sequence[Attack]:
        """The attacks with the curriculum's number of steps, if it has one, checked again."""
        steps = self.settings_at(progress).get("attack_steps")
        if steps is None:
            return self.attacks
        return [type(each).model_validate(each.model_dump() | {"steps": round(steps)}) for each in self.attacks]


class AdversarialTraining(Classifying, CraftingObjective):
    """Cross-entropy on the crafted clips."""

    def loss(self, forward: Forward, *, clean: Batch, perturbed: Batch) -> Loss:
        """Mean cross-entropy of the perturbed clips."""
        return self.classification(forward, perturbed)
