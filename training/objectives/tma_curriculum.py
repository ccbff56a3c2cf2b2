"""TMA-curriculum: efficient adversarial training that grows from easy to hard."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from training.attacks import Attack, IterativeAttack
from training.batch import Batch
from training.curriculum.curriculum import FullCurriculum
from training.curriculum.masking import mask_segments
from training.models import Classifier
from training.objectives.base import LossOf
from training.objectives.crafting_objective import AdversarialTraining, IterativeObjective
from training.objectives.tma_at import CRAFTING


class TMACurriculum(IterativeObjective, AdversarialTraining):
    """Adversarial curriculum training with TMA on a sample of the segments (arXiv:2502.11858, Section 5).

    At progress p the curriculum sets how many segments are masked, how many feature units are dropped, how many
    segments are attacked (their neighbours take over the perturbation), with how many steps, by which of several
    attacks and how large a budget. With K attack steps and the share r of segments at p it costs r K + 1 forward and
    r K + 1 backward passes per batch.
    """

    name: Literal["tma_curriculum"] = "tma_curriculum"
    attack: IterativeAttack = CRAFTING
    """The inner maximisation; its number of steps comes from the curriculum."""
    curriculum: FullCurriculum = FullCurriculum()
    """The schedules, from easy to hard; steps and sampling ratio are always the curriculum's."""

    def prepare(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> LossOf:
        """Mask segments, then craft; dropout acts in the loss's forward pass."""
        values = self.settings_at(progress)
        assert isinstance(model, Classifier), f"the curriculum sets dropout on a Classifier, got {type(model)}"
        masked = mask_segments(
            batch,
            values["mask_ratio"],
            generator,
            masking=self.curriculum.masking,
            layout=self.curriculum.mask_layout,
        )
        loss_of = super().prepare(model, masked, progress=progress, generator=generator)
        model.set_dropout(values["dropout_ratio"])
        return loss_of

    @property
    def attacks(self) -> tuple[Attack, ...]:
        """The objective's own attack and the curriculum's others."""
        return (self.attack, *(other.attack for other in self.curriculum.other_attacks))

    def shares_at(self, progress: float) -> list[float]:
        """Shares of the clips that meet the curriculum's other attacks."""
        values = self.settings_at(progress)
        return [values[name] for name in self.curriculum.share_names]
