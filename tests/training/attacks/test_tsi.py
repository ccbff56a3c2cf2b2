from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.training.attacks.targets import THREATS, classifier, random_clips
from training.attacks import MIFGSM, TSI
from training.attacks.engine.smoothing import Smoothing
from training.attacks.engine.temporal_groups import TemporalGroups
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel


@pytest.mark.parametrize("threat", THREATS.values(), ids=str)
def test_without_its_three_settings_it_is_mifgsm_bit_for_bit(threat: ThreatModel) -> None:
    bare = TSI(steps=4, step_size=1 / 4, smoothing=Smoothing(), sharing=TemporalGroups())
    one, other = (
        attack(classifier(), random_clips(threat, 3), threat, torch.Generator().manual_seed(0))
        for attack in (bare, MIFGSM(steps=4))
    )
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_its_steps_follow_the_recursion(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    """Smooth, share half, accumulate, step by 2 epsilon / K: written out with a library's convolution for the video."""
    steps, epsilon = 5, 0.05
    found = TSI(steps=steps)(model, batch, ThreatModel(video=epsilon, audio=0.0), generator)
    model.eval()
    line = torch.tensor([0.2741, 0.4519, 0.2741])
    kernel = torch.outer(line, line).expand(3, 1, 3, 3)
    expected, velocity = batch.video, torch.zeros_like(batch.video)
    for _ in range(steps):
        leaf = expected.detach().requires_grad_()
        loss = nn.functional.cross_entropy(model(leaf, batch.audio).logits, batch.labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, leaf)
        planes = nn.functional.conv2d(gradient.flatten(0, 1), kernel, padding=1, groups=3).view_as(gradient)
        shared = planes / 2 + planes.mean(1, keepdim=True) / 2
        velocity = velocity + shared / shared.abs().mean((1, 2, 3, 4), keepdim=True)
        moved = expected + 2 * epsilon / steps * velocity.sign()
        expected = moved.clamp(batch.video - epsilon, batch.video + epsilon).clamp(0, 1)
    assert ((found.video - expected).abs() > 1e-6).float().mean() < 5e-3
