"""Smoothed labels, which every objective with a cross-entropy has from its base."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.training.objectives.table import (
    ROWS,
    named,
    run,
)
from training.batch import Batch
from training.models import Classifier, Outputs
from training.objectives import (
    CRMTAT,
    TRADES,
    MinSim,
    Mixup,
    Objective,
    Standard,
)
from training.objectives.base import Classifying, SingleUpdate


@pytest.mark.parametrize("objective", [row for row in ROWS if isinstance(row, Classifying)], ids=named)
def test_smoothed_labels_change_the_loss_and_not_the_clips(
    objective: Classifying, model: Classifier, batch: Batch
) -> None:
    """On the same clips the loss is (1 - s) CE + s mean over classes of -log p: it moves as far from 0 to 0.2 as on."""
    model.eval()
    plain, little, much = (
        run(type(objective).model_validate(objective.model_dump() | {"label_smoothing": share}), model, batch)[0]
        for share in (0.0, 0.2, 0.4)
    )
    assert float(little - plain) == pytest.approx(float(much - little), rel=1e-3)
    assert abs(float(little - plain)) > 1e-4


@pytest.mark.parametrize(
    ("objective", "others"),
    [
        (Standard(label_smoothing=0.4), 0.0),
        (Mixup(label_smoothing=0.4), 0.0),
        (MinSim(label_smoothing=0.4, similarity_weight=2.0), 2.0),
        (TRADES(label_smoothing=0.4, beta=2.0), 0.5 * math.log(2)),
        (CRMTAT(label_smoothing=0.4, margin_weight=2.0), 2.0 * math.log(7)),
    ],
    ids=lambda value: value.name if isinstance(value, Objective) else "",
)
def test_labels_are_smoothed_in_the_cross_entropy_alone(
    objective: SingleUpdate, others: float, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """Label 0 becomes (0.7, 0.1, 0.1, 0.1), which costs (0.7 + 0.2 + 0.3 + 0.3) ln 2 at p = (1/2, 1/4, 1/8, 1/8).

    The other terms: equal features have the cosine 1; KL(p || (1/4, 1/2, 1/8, 1/8)) is (1/2 - 1/4) ln 2; scores of 0
    in each modality fall short by ln(1 + 6).
    """
    clean, perturbed = torch.tensor([[0.5, 0.25, 0.125, 0.125], [0.25, 0.5, 0.125, 0.125]]).log()

    def answers(video: Tensor, audio: Tensor) -> Outputs:
        logits = torch.cat([clean.expand(7, 4), perturbed.expand(7, 4)])[: len(video)]
        features, scores = torch.ones(len(video), 4, 2), torch.zeros(len(video), 4)
        return Outputs(logits, features, features, scores, scores)

    first = replace(batch, labels=torch.zeros_like(batch.labels))
    loss = objective.prepare(model, first, progress=0.0, generator=generator)(answers)
    assert float(loss.total) == pytest.approx(1.5 * math.log(2) + others)
    assert float(loss.parts["cross_entropy"]) == pytest.approx(1.5 * math.log(2))
