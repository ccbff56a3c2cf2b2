from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from tests.training.conftest import random_batch
from training.attacks import PGD
from training.attacks.engine.losses import margin
from training.models import Classifier
from training.threat import ThreatModel

SMALL = ThreatModel(video=0.5 / 255, audio=0.5 / 255)


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


def test_more_restarts_never_lower_a_clip_s_margin_and_start_elsewhere(
    model: Classifier, generator: torch.Generator
) -> None:
    clips = random_batch(16)
    margins = []
    for restarts in (2, 3, 6):
        perturbed = PGD(steps=2, restarts=restarts)(model, clips, SMALL, generator)
        with torch.no_grad():
            margins.append(margin(model(perturbed.video, perturbed.audio).logits, clips))
    assert (margins[1] >= margins[0] - 1e-6).all()
    assert (margins[2] >= margins[1] - 1e-6).all()
    assert margins[2].mean() > margins[0].mean()


def test_restarts_leave_out_clips_that_are_fooled(model: Classifier, generator: torch.Generator) -> None:
    """Clips that the model gets wrong untouched are fooled by the first start: 3 passes; the others take 3 x 3."""
    clips = random_batch(16)
    nowhere = ThreatModel(video=1e-7, audio=1e-7)
    is_right = model.eval()(clips.video, clips.audio).logits.argmax(1) == clips.labels
    seen: list[int] = []
    hook = model.register_forward_pre_hook(lambda _, streams: seen.append(len(streams[0])))
    PGD(steps=2, restarts=3)(model, clips, nowhere, generator)
    hook.remove()
    assert 0 < int(is_right.sum()) < 16
    assert sum(seen) == 3 * 16 + 2 * 3 * int(is_right.sum())


def test_restarts_without_a_random_start_are_refused() -> None:
    with pytest.raises(ValidationError, match="restarts=2 without random_start would all be the same"):
        PGD(restarts=2, random_start=False)


def test_the_margin_loss_is_another_attack(model: Classifier, generator: torch.Generator) -> None:
    clips = random_batch(3)
    results = [PGD(steps=3, loss=loss)(model, clips, ThreatModel(), generator) for loss in ("cross_entropy", "margin")]
    assert not torch.equal(results[0].video, results[1].video)
