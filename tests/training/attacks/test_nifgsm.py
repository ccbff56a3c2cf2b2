from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.training.attacks.trained import trained
from training.attacks import FGSM, IFGSM, NIFGSM
from training.batch import MODALITIES, Batch
from training.models import Classifier
from training.threat import ThreatModel


@pytest.mark.parametrize("threat", ["linf(video=4/255, audio=4/255)", "l2(video=0.5, audio=0.3)"])
def test_without_momentum_it_is_ifgsm_bit_for_bit(
    threat: str, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    one, other = (
        attack(model, batch, ThreatModel.model_validate(threat), generator)
        for attack in (NIFGSM(steps=5, momentum=0.0), IFGSM(steps=5))
    )
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_one_step_has_nothing_to_look_ahead_to_and_is_fgsm_bit_for_bit(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    one, other = (attack(model, batch, ThreatModel(), generator) for attack in (NIFGSM(steps=1), FGSM()))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_steps_follow_the_published_recursion(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    """m = mu m + g / mean|g| with g at x + alpha mu m, x = P(x + alpha sign m), written out for both modalities."""
    steps, momentum = 4, 0.7
    threat = ThreatModel(video=0.05, audio=0.03)
    found = NIFGSM(steps=steps, momentum=momentum)(model, batch, threat, generator)
    model.eval()
    expected = {name: batch.stream(name) for name in MODALITIES}
    velocity = {name: torch.zeros_like(stream) for name, stream in expected.items()}
    alpha = {name: threat.epsilon(name) / steps for name in MODALITIES}
    for _ in range(steps):
        ahead = {
            name: (expected[name] + alpha[name] * momentum * velocity[name]).requires_grad_() for name in MODALITIES
        }
        loss = nn.functional.cross_entropy(model(**ahead).logits, batch.labels, reduction="sum")
        for name, gradient in zip(MODALITIES, torch.autograd.grad(loss, list(ahead.values())), strict=True):
            size = gradient.abs().flatten(1).mean(1).view(-1, *[1] * (gradient.dim() - 1))
            velocity[name] = momentum * velocity[name] + gradient / size
            clean, epsilon = batch.stream(name), threat.epsilon(name)
            moved = expected[name] + alpha[name] * velocity[name].sign()
            expected[name] = moved.clamp(clean - epsilon, clean + epsilon).clamp(0, 1)
    for name in MODALITIES:
        assert ((found.stream(name) - expected[name]).abs() > 1e-6).float().mean() < 1e-3


def test_it_fools_its_own_model_and_a_stranger_more_than_noise_does() -> None:
    own, others = trained().under(NIFGSM(steps=4))
    assert trained().under_noise() == (1.0, 1.0)
    assert own < 0.1
    assert others < 0.9
