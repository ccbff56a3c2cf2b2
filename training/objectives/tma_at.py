"""TMA-AT: adversarial training with TMA on a fixed share of the segments."""

from __future__ import annotations

from typing import Literal

from training.attacks.engine.ascent import NOT_SHARED, NOT_SMOOTHED
from training.attacks.tma import TMA
from training.crafting import Crafting
from training.objectives.crafting_objective import AdversarialTraining, IterativeObjective

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
    smoothing=NOT_SMOOTHED,
    sharing=NOT_SHARED,
    input_transforms=(),
)
"""TMA as a defence needs it, spelled out: what transfers best to other models need not be what trains best."""


class TMAAT(IterativeObjective, AdversarialTraining):
    """Cross-entropy on clips that TMA has perturbed in a sample of their segments, the same from first to last step.

    Efficient adversarial perturbation without a curriculum (arXiv:2502.11858, Section 5), the baseline that shows what
    the curriculum adds. With K = `attack.steps` and the share r of segments it costs r K + 1 forward and r K + 1
    backward passes per batch.
    """

    name: Literal["tma_at"] = "tma_at"
    attack: TMA = CRAFTING
    """The inner maximisation."""
    crafting: Crafting = Crafting(sampling_ratio=0.25)
    """The share of the segments that the attack works on."""
