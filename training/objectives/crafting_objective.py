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
from training.objectives.base import Classifying, Forward, Loss, LossOf, SingleUpdate
from training.passes import Passes
from training.threat import ThreatModel


class CraftingObjective(SingleUpdate):
    """Attacks every batch inside a threat model and takes one loss; a member says by which attack, and which loss."""

    threat: ThreatModel = ThreatModel()
    """The ball to defend."""
    crafting: Crafting = WHOLE
    """The segments that the attack works on, and what the others take over from them."""

    @abstractmethod
    def attacks_at(self, progress: float) -> Sequence[Attack]:
        """The inner maximisation at `progress`; of several attacks each clip meets one."""

    def shares_at(self, progress: float) -> Sequence[float]:
        """Shares of the clips that meet the second, third, ... attack; the first has the rest."""
        return ()

    def threat_at(self, progress: float) -> ThreatModel:
        """The ball that is attacked in at `progress`."""
        return self.threat

    def crafting_at(self, progress: float) -> Crafting:
        """The crafting at `progress`."""
        return self.crafting

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
        """Cost of the attacks on the sampled segments, each for its share of the clips."""
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


class AdversarialTraining(Classifying, CraftingObjective):
    """Cross-entropy on the crafted clips."""

    def loss(self, forward: Forward, *, clean: Batch, perturbed: Batch) -> Loss:
        """Mean cross-entropy of the perturbed clips."""
        return self.classification(forward, perturbed)
