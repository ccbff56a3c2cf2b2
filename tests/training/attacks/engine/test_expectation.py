"""Means over passes: of outputs, of gradients, and of what attacks on stochastic models find by them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from training.attacks import FAB, PGD, TMA, Attack, Square
from training.attacks.engine.expectation import Expectation, repeated, smoothed
from training.attacks.engine.gradients import scored_gradient
from training.batch import MODALITIES, Batch
from training.models import Classifier, Outputs
from training.threat import ThreatModel


class Turning(nn.Module):
    """A model whose passes alternate between its logits and twice as many."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.passes = 0

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        self.passes += 1
        outputs: Outputs = self.model(video, audio)
        return replace(outputs, logits=outputs.logits * (1 + self.passes % 2), video_logits=None)


def test_outputs_are_averaged_and_what_is_missing_stays_so(model: Classifier, batch: Batch) -> None:
    """One pass of twice the logits and one of the logits: 1.5 times."""
    model.eval()
    plain = model(batch.video, batch.audio)
    found = repeated(Turning(model), 2)(batch.video, batch.audio)
    assert torch.allclose(found.logits, 1.5 * plain.logits)
    assert torch.allclose(found.video_features, plain.video_features)
    assert found.video_logits is None


def test_one_pass_is_the_model_itself(model: Classifier) -> None:
    assert repeated(model, 1) is model
    assert isinstance(repeated(model, 2), Expectation)


def test_a_gradient_is_the_mean_over_passes_that_are_taken_one_by_one(model: Classifier, batch: Batch) -> None:
    """Of the margin, which grows with the logits: 1.5 times the plain one, at 1.5 times the logits."""
    model.eval()
    logits, plain = scored_gradient(model, batch, MODALITIES, "margin")
    turning = Turning(model)
    mean_logits, mean = scored_gradient(repeated(turning, 4), batch, MODALITIES, "margin")
    assert turning.passes == 4
    assert torch.allclose(mean_logits, 1.5 * logits, atol=1e-6)
    for name in MODALITIES:
        assert torch.allclose(mean.streams[name], 1.5 * plain.streams[name], atol=1e-7)


def test_a_smoothed_gradient_is_that_of_points_nearby(model: Classifier, batch: Batch) -> None:
    model.eval()
    shifts = [(torch.full_like(batch.video, by), torch.zeros_like(batch.audio)) for by in (-0.01, 0.02)]
    _, found = scored_gradient(smoothed(model, shifts), batch, MODALITIES, "margin")
    each = [
        scored_gradient(model, batch.with_streams(batch.video + video, batch.audio), MODALITIES, "margin")[1]
        for video, _ in shifts
    ]
    expected = (each[0].streams["video"] + each[1].streams["video"]) / 2
    assert torch.allclose(found.streams["video"], expected, atol=1e-7)


@pytest.mark.parametrize("attack", [PGD(steps=2), TMA(steps=2), FAB(steps=2), Square(queries=4)], ids=lambda a: a.name)
def test_every_attack_goes_on_a_mean_of_passes_as_on_the_model(attack: Attack, model: Classifier, batch: Batch) -> None:
    """Of a deterministic model all passes are the same, and so is the result, but for rounding."""
    model.eval()
    threat = ThreatModel(video=4 / 255, audio=4 / 255)
    alone, mean = (
        attack(each, batch, threat, torch.Generator().manual_seed(0)) for each in (model, repeated(model, 3))
    )
    for name in MODALITIES:
        is_near = (alone.stream(name) - mean.stream(name)).abs() < 1e-4
        assert is_near.float().mean() > 0.97
    assert all(not module.training for module in model.modules())
