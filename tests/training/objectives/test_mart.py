from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from training.attacks import PGD
from training.batch import Batch
from training.models import Classifier
from training.objectives import MART
from training.objectives.mart import boosted_cross_entropies


def test_the_boosted_cross_entropy_of_a_known_prediction() -> None:
    """p = (0.5, 0.3, 0.2), label 0: -ln 0.5 - ln(1 - 0.3) = 1.04982; label 2: -ln 0.2 - ln(1 - 0.5) = 2.30259."""
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log().repeat(2, 1)
    found = boosted_cross_entropies(logits, torch.tensor([0, 2]))
    assert found.tolist() == pytest.approx([-math.log(0.35), -math.log(0.1)])


def test_a_clip_that_is_certainly_wrong_has_a_finite_loss_and_slope() -> None:
    """The rival's p rounds to 1: -ln(1 - p) is 200 all the same, as is -ln p_y, and both pull on the logits."""
    logits = torch.tensor([[0.0, 200.0, -torch.inf]], requires_grad=True)
    total = boosted_cross_entropies(logits, torch.tensor([0])).sum()
    (slope,) = torch.autograd.grad(total, logits)
    assert float(total.detach()) == pytest.approx(400.0)
    assert slope.tolist() == [[-2.0, 2.0, 0.0]]


def test_smoothed_labels_are_refused() -> None:
    with pytest.raises(ValidationError, match="label_smoothing"):
        MART.model_validate({"label_smoothing": 0.1})


def test_the_divergence_counts_by_the_doubt_about_the_clean_clip(model: Classifier, batch: Batch) -> None:
    """BCE(x') + 3 mean of KL(p(x) || p(x')) (1 - p_y(x)), each computed here as it is written."""
    objective = MART(divergence_weight=3.0, attack=PGD(steps=2))
    crafted = objective.attack(model, batch, objective.threat, torch.Generator().manual_seed(0))
    clean_shares, shares = (model(each.video, each.audio).logits.softmax(1) for each in (batch, crafted))
    rows = torch.arange(len(batch))
    rivals = shares.scatter(1, batch.labels[:, None], 0.0).amax(1)
    boosted = -shares[rows, batch.labels].log() - (1 - rivals).log()
    divergence = functional.kl_div(shares.log(), clean_shares, reduction="none").sum(1)
    expected = boosted.mean() + 3.0 * (divergence * (1 - clean_shares[rows, batch.labels])).mean()
    found = objective.prepare(model, batch, progress=0.0, generator=torch.Generator().manual_seed(0))(model)
    torch.testing.assert_close(found.total, expected)
