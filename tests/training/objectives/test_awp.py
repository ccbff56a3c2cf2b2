from __future__ import annotations

import copy

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from pipeline.settings.load import load
from training.attacks import PGD
from training.batch import Batch
from training.config import TrainConfig
from training.models import Classifier
from training.objectives import AWP, PGDAT, TRADES, MinSim, Standard


def by_hand(model: Classifier, batch: Batch, *, gamma: float, smoothing: float) -> tuple[Classifier, torch.Tensor]:
    """A copy whose weights were really moved for standard training, and its loss."""
    moved = copy.deepcopy(model)
    loss = nn.CrossEntropyLoss(label_smoothing=smoothing)
    total = loss(moved(batch.video, batch.audio).logits, batch.labels)
    matrices = [weight for weight in moved.parameters() if weight.dim() > 1]
    with torch.no_grad():
        for weight, slope in zip(matrices, torch.autograd.grad(total, matrices), strict=True):
            weight.add_(gamma * weight.norm() * slope / slope.norm())
    return moved, loss(moved(batch.video, batch.audio).logits, batch.labels)


@pytest.mark.parametrize(("gamma", "smoothing"), [(0.01, 0.0), (0.2, 0.0), (0.2, 0.3)])
def test_loss_and_gradients_are_those_at_weights_that_were_really_moved(
    gamma: float, smoothing: float, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    moved, expected = by_hand(model, batch, gamma=gamma, smoothing=smoothing)
    torch.autograd.backward(expected)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    objective = AWP(objective=Standard(label_smoothing=smoothing), gamma=gamma)
    loss = objective.prepare(model, batch, progress=0.0, generator=generator)(model)
    torch.autograd.backward(loss.total)
    torch.testing.assert_close(loss.total, expected)
    for weight, twin in zip(model.parameters(), moved.parameters(), strict=True):
        torch.testing.assert_close(weight.grad, twin.grad)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_moved_weights_are_worse(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    for inner in (Standard(), TRADES(), MinSim()):
        inside, around = (
            objective.prepare(model, batch, progress=0.0, generator=generator)(model).total
            for objective in (inner, AWP(objective=inner, gamma=0.05))
        )
        assert inside < around


def test_the_clips_are_crafted_against_the_weights_as_they_are(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """With gamma next to nothing the loss is the other objective's."""
    inner = PGDAT(attack=PGD(steps=3))
    inside, around = (
        objective.prepare(model, batch, progress=0.0, generator=generator)(model).total
        for objective in (inner, AWP(objective=inner, gamma=1e-9))
    )
    torch.testing.assert_close(inside, around)


def test_ascent_and_loss_drop_the_same_units(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    """With gamma next to nothing, dropout leaves the loss as it would be without the ascent before it."""
    model.train()
    model.set_dropout(0.5)
    with torch.random.fork_rng():
        totals = []
        for objective in (Standard(), AWP(objective=Standard(), gamma=1e-9)):
            torch.manual_seed(1)
            totals.append(objective.prepare(model, batch, progress=0.0, generator=generator)(model).total)
    torch.testing.assert_close(*totals)


def test_a_weight_without_a_gradient_stays(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    """A model that is deaf: nothing of the sound's encoder moves, and nothing is NaN."""
    model.audio_encoder.register_forward_hook(lambda _, __, features: features * 0)
    loss = AWP(objective=Standard()).prepare(model, batch, progress=0.0, generator=generator)(model)
    assert bool(loss.total.isfinite())


def test_it_defends_the_ball_of_the_objective_inside() -> None:
    given = ["data=d", "output=o", "objective.name=awp", "objective.objective.name=trades"]
    threat = "objective.objective.threat=linf(waveform=0.002)"
    config = load(TrainConfig, None, [*given, threat, "validation.threat=linf(waveform=0.002)"])
    assert config.audio_domain == "waveform"
    with pytest.raises(ValueError, match="about the waveform"):
        load(TrainConfig, None, [*given, threat])
    assert AWP(objective=Standard()).threat is None


def test_it_wraps_neither_itself_nor_replays() -> None:
    for name in ("awp", "free_at"):
        with pytest.raises(ValidationError, match="'pgd_at', 'standard'"):
            AWP.model_validate({"objective": {"name": name}})
