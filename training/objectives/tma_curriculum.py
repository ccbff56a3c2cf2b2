"""TMA-curriculum: efficient adversarial training that grows from easy to hard."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from pydantic import model_validator
from torch import nn

from training.attacks import Attack, IterativeAttack
from training.batch import Batch
from training.crafting import WHOLE, Crafting, craft_mixed
from training.curriculum.curriculum import Curriculum
from training.curriculum.masking import mask_segments
from training.models import Classifier
from training.objectives.base import Classifying, LossOf, SingleUpdate, crafting_passes
from training.objectives.tma_at import CRAFTING
from training.passes import Passes
from training.threat import ThreatModel


class TMACurriculum(Classifying, SingleUpdate):
    """Adversarial curriculum training with TMA on a sample of the segments (arXiv:2502.11858, Section 5).

    At progress p the curriculum sets how many segments are masked, how many feature units are dropped, how many
    segments are attacked (their neighbours share the perturbation), with how many steps, by which of several attacks
    and how large a budget. With K attack steps and the share r of segments at p it costs r K + 1 forward and r K + 1
    backward passes per batch.
    """

    name: Literal["tma_curriculum"] = "tma_curriculum"
    attack: IterativeAttack = CRAFTING
    """The inner maximisation; its number of steps comes from the curriculum."""
    threat: ThreatModel = ThreatModel()
    """The ball to defend at `epsilon_factor` 1."""
    crafting: Crafting = WHOLE
    """How the attacks are applied; the ratio comes from the curriculum."""
    curriculum: Curriculum = Curriculum()
    """The schedules, from easy to hard."""

    @model_validator(mode="after")
    def _crafting_suits_the_curriculum(self) -> TMACurriculum:
        self.crafting.refuse(*(other.attack for other in self.curriculum.other_attacks))
        if self.crafting.sampling_ratio != WHOLE.sampling_ratio:
            raise ValueError(
                f"crafting.sampling_ratio={self.crafting.sampling_ratio:g}: the curriculum decides it, write it as "
                "curriculum.sampling_ratio"
            )
        return self

    def prepare(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> LossOf:
        """Cross-entropy on clips that are masked, then attacked; dropout acts in the last forward pass."""
        values = self.settings_at(progress)
        assert isinstance(model, Classifier), f"the curriculum sets dropout on a Classifier, got {type(model)}"
        masked = mask_segments(
            batch,
            values["mask_ratio"],
            generator,
            masking=self.curriculum.masking,
            layout=self.curriculum.mask_layout,
        )
        crafted = craft_mixed(
            model,
            masked,
            self.attacks_with(steps=round(values["attack_steps"])),
            [values[name] for name in self.curriculum.share_names],
            self.threat.scaled(values["epsilon_factor"]),
            generator,
            crafting=self.crafting_at(progress),
        )
        model.set_dropout(values["dropout_ratio"])
        return partial(self.classification, batch=crafted)

    def attacks_with(self, *, steps: int) -> list[Attack]:
        """The objective's own attack and the curriculum's others with another number of steps, checked again."""
        attacks = [self.attack, *(other.attack for other in self.curriculum.other_attacks)]
        return [type(attack).model_validate(attack.model_dump() | {"steps": steps}) for attack in attacks]

    def crafting_cost(self, *, progress: float, num_segments: int) -> Passes:
        """The attacks' on the sampled segments, each for its share of the clips."""
        values = self.settings_at(progress)
        others = [values[name] for name in self.curriculum.share_names]
        passes = Passes()
        attacks = self.attacks_with(steps=round(values["attack_steps"]))
        for attack, clips in zip(attacks, [1.0 - sum(others), *others], strict=True):
            passes += crafting_passes(attack.cost, self.crafting_at(progress), self.threat, num_segments) * clips
        return passes

    def for_next_epoch(self, accuracies: Sequence[float]) -> TMACurriculum:
        """The objective with the curriculum of the next epoch."""
        return self.model_copy(update={"curriculum": self.curriculum.for_next_epoch(accuracies)})

    def crafting_at(self, progress: float) -> Crafting:
        """How the attacks are applied at `progress`."""
        return Crafting.model_validate(
            self.crafting.model_dump() | {"sampling_ratio": self.settings_at(progress)["sampling_ratio"]}
        )

    def settings_at(self, progress: float) -> dict[str, float]:
        """The curriculum's values at `progress`."""
        return self.curriculum.at(progress)
