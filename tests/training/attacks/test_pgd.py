from __future__ import annotations

import torch
from torch.nn import functional

from tests.training.conftest import random_batch
from training.attacks import PGD
from training.models import Classifier
from training.threat import ThreatModel


def test_more_steps_raise_the_mean_loss(model: Classifier, generator: torch.Generator) -> None:
    clips = random_batch(32)
    losses = []
    for steps in (1, 3, 20):
        perturbed = PGD(steps=steps, random_start=False)(model, clips, ThreatModel(), generator)
        with torch.no_grad():
            logits = model(perturbed.video, perturbed.audio).logits
        losses.append(float(functional.cross_entropy(logits, clips.labels)))
    assert losses == sorted(losses)


def test_the_random_start_lies_inside_the_ball_and_differs_by_clip(
    model: Classifier, generator: torch.Generator
) -> None:
    """One step of size 0+ from a random start is the start itself."""
    clips = random_batch(3)
    started = PGD(steps=1, step_size=1e-9)(model, clips, ThreatModel(video=0.1, audio=0.1), generator)
    delta = (started.video - clips.video).flatten(1)
    assert (delta.abs().amax(1) > 0.09).all()
    assert not torch.allclose(delta[0], delta[1])


def test_the_margin_loss_is_another_attack(model: Classifier, generator: torch.Generator) -> None:
    clips = random_batch(3)
    results = [PGD(steps=3, loss=loss)(model, clips, ThreatModel(), generator) for loss in ("cross_entropy", "margin")]
    assert not torch.equal(results[0].video, results[1].video)
