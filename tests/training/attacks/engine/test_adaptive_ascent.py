"""The climb of APGD, step by step."""

from __future__ import annotations

import itertools
from functools import cache

import pytest
import torch
from torch import Tensor

from tests.training.attacks.linear import LinearClassifier, interior
from tests.training.attacks.trained import trained_classifier
from tests.training.conftest import random_batch
from training.attacks.engine.adaptive_ascent import AdaptiveAscent, checkpoints_of
from training.attacks.engine.best_attempt import measured_margin
from training.attacks.engine.losses import LossName
from training.attacks.engine.starts import start_at_radius
from training.threat import ThreatModel

SMALL = ThreatModel(video=6 / 255, audio=6 / 255)


def test_checkpoints_come_closer_by_3_percent_down_to_6() -> None:
    """22, then 19, 16, 13, 10, 7, 6 and 6 more of 100 steps."""
    assert checkpoints_of(100) == {22, 41, 57, 70, 80, 87, 93, 99}


def test_checkpoints_of_few_steps_are_rounded_up() -> None:
    """2.2, 4.1, 5.7, 7, 8, 8.7, 9.3 and 9.9 of 10 steps."""
    assert checkpoints_of(10) == {3, 5, 6, 7, 8, 9, 10}


@cache
def followed(loss: LossName) -> tuple[list[Tensor], list[Tensor]]:
    """Step sizes and best losses of 8 clips after each of 50 steps."""
    network, clips = trained_classifier()
    clips = clips.select(torch.arange(8)).with_targets(None)
    start = start_at_radius(clips, SMALL, torch.Generator(), "start")
    climbs = AdaptiveAscent(steps=50, loss=loss)(network, start, clips, clips, SMALL, torch.Generator(), "")
    states = [(climb.step_size, climb.best_loss) for climb in climbs]
    return [size for size, _ in states], [best for _, best in states]


@pytest.mark.parametrize("loss", ["cross_entropy", "margin", "dlr"])
def test_step_sizes_start_at_two_budgets_and_are_only_halved_at_checkpoints(loss: LossName) -> None:
    """2, 1, 1/2, ...; the first step after which one may change is the 11th, 22 % of 50."""
    sizes, _ = followed(loss)
    assert all((size == 2.0).all() for size in sizes[:10])
    for step, (before, after) in enumerate(itertools.pairwise(sizes), start=2):
        ratio = after / before
        assert ((ratio == 1.0) | (ratio == 0.5)).all()
        assert (ratio == 1.0).all() or step in checkpoints_of(50)
    assert sizes[-1].unique().numel() > 1, "each clip has its own step size"  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("loss", ["cross_entropy", "margin", "dlr"])
def test_the_best_loss_never_falls(loss: LossName) -> None:
    _, best = followed(loss)
    assert all((after >= before).all() for before, after in itertools.pairwise(best))
    assert (best[-1] > best[0]).all()


def test_a_halved_clip_goes_on_from_its_best_point() -> None:
    """A clip that reached the optimum at the first step cannot rise again: at step 3, 22 % of 10, it is sent back."""
    clips = interior(random_batch(3))
    model = LinearClassifier()
    climbs = AdaptiveAscent(steps=10, loss="margin")(model, clips, clips, clips, SMALL, torch.Generator(), "")
    for step, climb in enumerate(climbs, start=1):
        if step in (3, 5, 6):
            assert (climb.step_size < 2.0).all()
            assert torch.equal(climb.here.video, climb.best.video)


def test_a_model_too_sure_for_single_precision_is_climbed_all_the_same(generator: torch.Generator) -> None:
    """Logits of +-1e4 s: every cross-entropy is exactly 0, before and after, unless the clip is fooled."""
    model, clips = LinearClassifier(), interior(random_batch(5))
    model.video.data *= 1e4
    model.audio.data *= 1e4
    model.video.data += 1.0
    threat = ThreatModel(video=1e-3, audio=1e-3)
    climbs = AdaptiveAscent(steps=9, loss="cross_entropy")(
        model, start_at_radius(clips, threat, generator, ""), clips, clips, threat, generator, ""
    )
    best = [climb.best_loss for climb in climbs]
    assert (best[-1] < -100.0).all()
    optimum = measured_margin(model, clips) + 2e-3 * float(
        model.video.detach().abs().sum() + model.audio.detach().abs().sum()
    )
    assert torch.allclose(best[-1].double(), optimum, rtol=1e-4)
