from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from training.batch import Batch
from training.models import Classifier
from training.objectives import TRADES, Standard
from training.objectives.base import Loss, SingleUpdate
from training.objectives.trades import DivergencePGD, divergence_slope, divergences
from training.threat import ThreatModel


def loss_of(objective: SingleUpdate, model: Classifier, batch: Batch) -> Loss:
    return objective.prepare(model, batch, progress=0.0, generator=torch.Generator().manual_seed(0))(model)


def test_the_divergence_of_two_known_distributions() -> None:
    """KL((1/2, 1/2) || (1/4, 3/4)) = ln(2) / 2 + ln(2/3) / 2 = 0.14384 nats."""
    clean, perturbed = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    assert float(divergences(perturbed, clean)) == pytest.approx(math.log(4 / 3) / 2)
    assert float(divergences(clean, clean)) == 0.0


def test_the_slope_is_that_of_the_divergence() -> None:
    source = torch.Generator().manual_seed(0)
    clean, logits = (torch.randn(6, 5, generator=source, dtype=torch.float64) for _ in range(2))
    leaf = logits.clone().requires_grad_()
    (expected,) = torch.autograd.grad(divergences(leaf, clean).sum(), leaf)
    slope, log_scale = divergence_slope(logits, clean)
    torch.testing.assert_close(log_scale.exp()[:, None] * slope, expected)
    torch.testing.assert_close(slope.abs().amax(1), torch.ones(6, dtype=torch.float64))


def test_the_slope_of_a_certain_clip_is_not_rounded_away() -> None:
    """Scores 40 above the others: p is 1 to rounding; q - p of the others is about e^-40 (e^0.1 - 1), all to 7 digits.

    The third class is as likely as before, so the first loses what the second wins.
    """
    slope, log_scale = divergence_slope(torch.tensor([[40.0, 0.1, 0.0]]), torch.tensor([[40.0, 0.0, 0.0]]))
    torch.testing.assert_close(slope, torch.tensor([[-1.0, 1.0, 0.0]]), atol=1e-5, rtol=0)
    assert float(log_scale) == pytest.approx(-40.0 + math.log(math.expm1(0.1)), abs=1e-4)


def test_equal_predictions_have_no_slope() -> None:
    slope, _ = divergence_slope(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.0]]))
    assert not slope.any()


def test_the_attack_drives_predictions_apart_and_more_steps_do_it_further(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    threat = ThreatModel(video=0.1, audio=0.1)
    clean = model(batch.video, batch.audio).logits.detach()

    def divergence(steps: int) -> float:
        perturbed = DivergencePGD(steps=steps, step_size=0.5)(model, batch, threat, generator)
        return float(divergences(model(perturbed.video, perturbed.audio).logits.detach(), clean).mean())

    assert 0 < divergence(1) < divergence(10)


def test_without_beta_it_is_standard_training(model: Classifier, batch: Batch) -> None:
    found, expected = (loss_of(objective, model, batch).total for objective in (TRADES(beta=0.0), Standard()))
    torch.testing.assert_close(found, expected)


def test_the_loss_is_the_clean_cross_entropy_and_beta_times_the_divergence(model: Classifier, batch: Batch) -> None:
    objective = TRADES(beta=2.5)
    crafted = objective.attack(model, batch, objective.threat, torch.Generator().manual_seed(0))
    clean_logits, logits = (model(each.video, each.audio).logits for each in (batch, crafted))
    shares = clean_logits.log_softmax(1)
    divergence = functional.kl_div(logits.log_softmax(1), shares, log_target=True, reduction="batchmean")
    loss = loss_of(objective, model, batch)
    torch.testing.assert_close(loss.total, functional.cross_entropy(clean_logits, batch.labels) + 2.5 * divergence)
    torch.testing.assert_close(loss.parts["divergence"], divergence.detach())
