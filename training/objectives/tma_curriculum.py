"""TMA-curriculum: efficient adversarial training that grows from easy to hard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import model_validator
from torch import nn

from training.attacks import Attack, IterativeAttack
from training.batch import Batch
from training.crafting import WHOLE, Crafting
from training.curriculum.curriculum import Curriculum
from training.curriculum.masking import mask_segments
from training.models import Classifier
from training.objectives.base import LossOf
from training.objectives.crafting_objective import AdversarialTraining
from training.objectives.tma_at import CRAFTING
from training.threat import ThreatModel


class TMACurriculum(AdversarialTraining):
    """Adversarial curriculum training with TMA on a sample of the segments (arXiv:2502.11858, Section 5).

    At progress p the curriculum sets how many segments are masked, how many feature units are dropped, how many
    segments are attacked (their neighbours take over the perturbation), with how many steps, by which of several
    attacks and how large a budget. With K attack steps and the share r of segments at p it costs r K + 1 forward and
    r K + 1 backward passes per batch.
    """

    name: Literal["tma_curriculum"] = "tma_curriculum"
    attack: IterativeAttack = CRAFTING
    """The inner maximisation; its number of steps comes from the curriculum."""
    threat: ThreatModel = ThreatModel()
    """The ball to defend at `epsilon_factor` 1."""
    crafting: Crafting = WHOLE
    """The segments that attacks work on; the sampling ratio comes from the curriculum."""
    curriculum: Curriculum = Curriculum()
    """The schedules, from easy to hard."""

    @model_validator(mode="after")
    def _curriculum_decides_the_ratio(self) -> TMACurriculum:
        if self.crafting.sampling_ratio != WHOLE.sampling_ratio:
            raise ValueError(
                f"crafting.sampling_ratio={self.crafting.sampling_ratio:g}: the curriculum decides it, write it as "
                "curriculum.sampling_ratio"
            )
        return self

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

    def attacks_at(self, progress: float) -> list[Attack]:
        """The objective's own attack and the curriculum's others with the steps of this moment, checked again."""
        steps = round(self.settings_at(progress)["attack_steps"])
        attacks = [self.attack, *(other.attack for other in self.curriculum.other_attacks)]
        return [type(attack).model_validate(attack.model_dump() | {"steps": steps}) for attack in attacks]

    def shares_at(self, progress: float) -> list[float]:
        """Shares of the clips that meet the curriculum's other attacks."""
        values = self.settings_at(progress)
        return [values[name] for name in self.curriculum.share_names]

    def threat_at(self, progress: float) -> ThreatModel:
        """The ball scaled by the curriculum's factor."""
        return self.threat.scaled(self.settings_at(progress)["epsilon_factor"])

    def crafting_at(self, progress: float) -> Crafting:
        """The crafting at the curriculum's ratio."""
        ratio = self.settings_at(progress)["sampling_ratio"]
        return Crafting.model_validate(self.crafting.model_dump() | {"sampling_ratio": ratio})

    def for_next_epoch(self, accuracies: Sequence[float]) -> TMACurriculum:
        """The objective with the curriculum of the next epoch."""
        return self.model_copy(update={"curriculum": self.curriculum.for_next_epoch(accuracies)})

    def settings_at(self, progress: float) -> dict[str, float]:
        """The curriculum's values at `progress`."""
        return self.curriculum.at(progress)
