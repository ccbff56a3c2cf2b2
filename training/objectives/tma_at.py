"""TMA-AT: adversarial training with TMA on a fixed share of the segments."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import nn

from training.attacks.engine.ascent import NOT_SHARED
from training.attacks.tma import TMA
from training.batch import Batch
from training.crafting import Crafting, craft
from training.objectives.base import Classifying, LossOf, SingleUpdate, crafting_passes
from training.passes import Passes
from training.threat import ThreatModel

CRAFTING = TMA(
    steps=5,
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


class TMAAT(Classifying, SingleUpdate):
    """Cross-entropy on clips that TMA has perturbed in a sample of their segments, the same from first to last step.

    Efficient adversarial perturbation without a curriculum (arXiv:2502.11858, Section 5), the baseline that shows what
    the curriculum adds. With K = `attack.steps` and the share r of segments it costs r K + 1 forward and r K + 1
    backward passes per batch.
    """

    name: Literal["tma_at"] = "tma_at"
    attack: TMA = CRAFTING
    """The inner maximisation."""
    threat: ThreatModel = ThreatModel()
    """The ball to defend."""
    crafting: Crafting = Crafting(sampling_ratio=0.25)
    """On which share of the segments the attack works, and how."""

    def prepare(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> LossOf:
        """Cross-entropy on the crafted clips."""
        crafted = craft(model, batch, self.attack, self.threat, generator, crafting=self.crafting)
        return partial(self.classification, batch=crafted)

    def crafting_cost(self, *, progress: float, num_segments: int) -> Passes:
        """The attack's, on the sampled segments."""
        return crafting_passes(self.attack.cost, self.crafting, self.threat, num_segments)
