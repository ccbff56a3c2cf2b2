from __future__ import annotations

import torch
from torch import nn

from training.attacks import IFGSM, MIFGSM
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel


def test_without_momentum_it_is_ifgsm_bit_for_bit(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    one, other = (
        attack(model, batch, ThreatModel(), generator) for attack in (MIFGSM(steps=5, momentum=0.0), IFGSM(steps=5))
    )
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_steps_follow_the_published_recursion(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    """m = mu m + g / mean|g|, x = P(x + epsilon / K sign m), written out for one modality."""
    steps, epsilon, momentum = 4, 0.05, 0.7
    found = MIFGSM(steps=steps, momentum=momentum)(model, batch, ThreatModel(video=epsilon, audio=0.0), generator)
    model.eval()
    expected, velocity = batch.video, torch.zeros_like(batch.video)
    for _ in range(steps):
        leaf = expected.detach().requires_grad_()
        loss = nn.functional.cross_entropy(model(leaf, batch.audio).logits, batch.labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, leaf)
        velocity = momentum * velocity + gradient / gradient.abs().mean((1, 2, 3, 4), keepdim=True)
        moved = expected + epsilon / steps * velocity.sign()
        expected = moved.clamp(batch.video - epsilon, batch.video + epsilon).clamp(0, 1)
    assert ((found.video - expected).abs() > 1e-6).float().mean() < 1e-3
