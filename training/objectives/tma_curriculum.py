"""TMA-curriculum: efficient adversarial training that grows from easy to hard."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from training.attacks import IterativeAttack
from training.attacks.ascent import NOT_SHARED
from training.attacks.tma import TMA
from training.batch import Batch
from training.crafting import craft
from training.curriculum import Curriculum, mask_segments
from training.models import Classifier
from training.objectives.base import Loss, Objective, bare, classification
from training.threat import ThreatModel

CRAFTING = TMA(
    temporal_weight=0.1,
    modality_weight=0.3,
    temporal="consecutive",
    features="normalised",
    agreement="means",
    combination="normalised",
    loss="cross_entropy",
    momentum=0.0,
    random_start=True,
    sharing=NOT_SHARED,
)
"""TMA as a defence needs it, spelled out: what transfers best to other models need not be what trains best."""


class TMACurriculum(Objective):
    """Adversarial curriculum training with TMA on a sample of the segments (arXiv:2502.11858, Section 5).

    At progress p the curriculum sets how many segments are masked, how many feature units are dropped, how many
    segments are attacked (their neighbours share the perturbation), with how many steps and how large a budget. Costs
    about `attack_steps` x `sampling_ratio` + 1 passes per batch.
    """

    name: Literal["tma_curriculum"] = "tma_curriculum"
    attack: IterativeAttack = CRAFTING
    """The inner maximisation; its number of steps comes from the curriculum."""
    threat: ThreatModel = ThreatModel()
    """The ball to defend at `epsilon_factor` 1."""
    curriculum: Curriculum = Curriculum()
    """What grows from easy to hard."""

    def __call__(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> Loss:
        """Cross-entropy on clips that are masked, then attacked; dropout acts in the last forward pass."""
        values = self.settings_at(progress)
        classifier = bare(model)
        assert isinstance(classifier, Classifier), (
            f"the curriculum sets dropout on a Classifier, got {type(classifier)}"
        )
        masked = mask_segments(batch, values["mask_ratio"], self.curriculum.masking, generator)
        perturbed = craft(
            classifier,
            masked,
            self.attack_with(steps=round(values["attack_steps"])),
            self.threat.scaled(values["epsilon_factor"]),
            generator,
            sampling_ratio=values["sampling_ratio"],
        )
        classifier.set_dropout(values["dropout_ratio"])
        return classification(model, perturbed)

    def attack_with(self, *, steps: int) -> IterativeAttack:
        """The attack with another number of steps, checked again."""
        return type(self.attack).model_validate(self.attack.model_dump() | {"steps": steps})

    def settings_at(self, progress: float) -> dict[str, float]:
        """The curriculum's values at `progress`."""
        return self.curriculum.at(progress)
