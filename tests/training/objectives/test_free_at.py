from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch

from training.batch import Batch
from training.models import Classifier
from training.objectives import FreeAT
from training.threat import ThreatModel


def shown_clips(objective: FreeAT, model: Classifier, batch: Batch) -> list[Batch]:
    """What the model sees in each replay, with a step of gradient descent after each."""
    shown: list[Batch] = []
    hook = model.register_forward_pre_hook(
        lambda _, streams: shown.append(batch.with_streams(*(stream.detach().clone() for stream in streams)))
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for loss in objective.losses(model, batch, progress=0.0, generator=torch.Generator().manual_seed(0)):
        optimizer.zero_grad()
        torch.autograd.backward(loss.total)
        optimizer.step()
    hook.remove()
    return shown


def test_each_replay_goes_on_from_the_perturbation_of_the_one_before(model: Classifier, batch: Batch) -> None:
    """A step of 0.2 epsilon moves no value by more, and moves most of them by just that."""
    objective = FreeAT(replays=4, step_size=0.2, threat=ThreatModel(video=0.05, audio=0.05))
    shown = shown_clips(objective, model, batch)
    assert len(shown) == 4
    for before, after in pairwise(shown):
        moved = (after.video - before.video).abs()
        assert float(moved.max()) <= 0.2 * 0.05 + 1e-6
        assert float((moved > 0.19 * 0.05).float().mean()) > 0.5


def test_a_replay_steps_along_the_gradient_that_moved_the_weights(model: Classifier, batch: Batch) -> None:
    """The second replay sees x' + epsilon sign g, projected, with g the gradient at the first replay's weights."""
    threat = ThreatModel(video=0.02, audio=0.02)
    fresh = copy.deepcopy(model)
    first, second = shown_clips(FreeAT(replays=2, threat=threat), model, batch)
    clips = first.video.clone().requires_grad_()
    logits = fresh(clips, first.audio).logits
    (slope,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, batch.labels), clips)
    expected = first.with_streams(first.video + 0.02 * slope.sign(), second.audio)
    torch.testing.assert_close(second.video, threat.project(expected, around=batch).video, atol=1e-6, rtol=0)


def test_the_weights_gain_from_the_replays(model: Classifier, batch: Batch) -> None:
    """Perturbed clips notwithstanding, 20 updates on the same seven clips bring the loss down."""
    objective = FreeAT(replays=20, threat=ThreatModel(video=0.01, audio=0.01))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    totals = []
    for loss in objective.losses(model, batch, progress=0.0, generator=torch.Generator().manual_seed(0)):
        optimizer.zero_grad()
        torch.autograd.backward(loss.total)
        optimizer.step()
        totals.append(float(loss.total.detach()))
    assert totals[-1] < 0.9 * totals[0]


def test_the_caller_must_go_backward_between_two_losses(model: Classifier, batch: Batch) -> None:
    losses = FreeAT().losses(model, batch, progress=0.0, generator=torch.Generator())
    next(losses)
    with pytest.raises(AssertionError, match="goes backward before it asks for the next loss"):
        next(losses)
