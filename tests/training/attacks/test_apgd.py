from __future__ import annotations

import itertools
from functools import cache

import pytest
import torch
from torch import Tensor

from tests.training.attacks.linear import LinearClassifier
from tests.training.attacks.targets import Counted
from tests.training.attacks.trained import trained_classifier
from tests.training.conftest import random_batch
from training.attacks import APGD, APGDT
from training.attacks.engine.adaptive_ascent import AdaptiveAscent, checkpoints_of
from training.attacks.engine.best_attempt import measured_margin
from training.attacks.engine.losses import LossName
from training.attacks.engine.starts import start_at_radius
from training.batch import Batch
from training.threat import ThreatModel

SMALL = ThreatModel(video=6 / 255, audio=6 / 255)


def interior(num_clips: int) -> Batch:
    """Clips so far from 0 and 1 that the box never binds, all of class 0."""
    noise = random_batch(num_clips)
    return Batch(noise.video / 2 + 0.25, noise.audio / 2 + 0.25, torch.zeros_like(noise.labels), noise.keys)


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
    climbs = AdaptiveAscent(steps=50, loss=loss).climbs(network, start, clips, clips, SMALL, torch.Generator(), "")
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
    clips = interior(3)
    model = LinearClassifier()
    climbs = AdaptiveAscent(steps=10, loss="margin").climbs(model, clips, clips, clips, SMALL, torch.Generator(), "")
    for step, climb in enumerate(climbs, start=1):
        if step in (3, 5, 6):
            assert (climb.step_size < 2.0).all()
            assert torch.equal(climb.here.video, climb.best.video)


@pytest.mark.parametrize("loss", ["cross_entropy", "margin"])
def test_on_a_linear_model_the_linf_optimum_is_reached(loss: LossName, generator: torch.Generator) -> None:
    """The score s falls fastest at x - epsilon sign(w)."""
    model, clips = LinearClassifier(), interior(5)
    threat = ThreatModel(video=0.05, audio=0.02)
    perturbed = APGD(steps=5, loss=loss)(model, clips, threat, generator)
    assert torch.allclose(perturbed.video, clips.video - 0.05 * model.video.sign().view(1, 4, 3, 16, 16), atol=1e-6)
    assert torch.allclose(perturbed.audio, clips.audio - 0.02 * model.audio.sign().view(1, 4, 16, 16), atol=1e-6)


def test_on_a_linear_model_the_l2_optimum_is_reached(generator: torch.Generator) -> None:
    """The margin -2 s grows by 2 (0.5 ||w_v|| + 0.2 ||w_a||)."""
    model, clips = LinearClassifier().double(), interior(5)
    clips = clips.with_streams(clips.video.double(), clips.audio.double())
    threat = ThreatModel(norm="l2", video=0.5, audio=0.2)
    perturbed = APGD(steps=30)(model, clips, threat, generator)
    grown = measured_margin(model, perturbed) - measured_margin(model, clips)
    assert torch.allclose(grown, (2 * (0.5 * model.video.norm() + 0.2 * model.audio.norm())).detach(), rtol=1e-4)


def test_a_model_too_sure_for_single_precision_is_climbed_all_the_same(generator: torch.Generator) -> None:
    """Logits of +-1e4 s: every cross-entropy is exactly 0, before and after, unless the clip is fooled."""
    model, clips = LinearClassifier(), interior(5)
    model.video.data *= 1e4
    model.audio.data *= 1e4
    model.video.data += 1.0
    threat = ThreatModel(video=1e-3, audio=1e-3)
    climbs = AdaptiveAscent(steps=9, loss="cross_entropy").climbs(
        model, start_at_radius(clips, threat, generator, ""), clips, clips, threat, generator, ""
    )
    best = [climb.best_loss for climb in climbs]
    assert (best[-1] < -100.0).all()
    optimum = measured_margin(model, clips) + 2e-3 * float(
        model.video.detach().abs().sum() + model.audio.detach().abs().sum()
    )
    assert torch.allclose(best[-1].double(), optimum, rtol=1e-4)


def test_more_restarts_never_lower_the_margin() -> None:
    network, clips = trained_classifier()
    margins = [
        measured_margin(
            network, APGD(steps=3, restarts=count)(network, clips, SMALL, torch.Generator()).with_targets(None)
        )
        for count in (1, 2, 4)
    ]
    assert (margins[1] >= margins[0] - 1e-6).all()
    assert (margins[2] >= margins[1] - 1e-6).all()
    assert (margins[2] > margins[0]).any()


def test_a_targeted_climb_reaches_its_target(generator: torch.Generator) -> None:
    network, clips = trained_classifier()
    large = SMALL.scaled(8.0)
    perturbed = APGD(steps=10, target="given")(network, clips, large, generator)
    assert clips.targets is not None
    with torch.no_grad():
        named = network(perturbed.video, perturbed.audio).logits.argmax(1)
    assert (named == clips.targets).float().mean() > 0.9


SMALL = ThreatModel(video=6 / 255, audio=6 / 255)


def test_fewer_than_four_classes_are_refused(generator: torch.Generator) -> None:
    wanted = "apgdt needs at least 4 classes, the model has 2; use apgd with loss='margin' there"
    with pytest.raises(ValueError, match=wanted):
        APGDT()(LinearClassifier(), random_batch(2), SMALL, generator)


def test_more_targets_never_lower_the_margin() -> None:
    network, clips = trained_classifier()
    margins = [
        measured_margin(
            network, APGDT(steps=3, num_targets=count)(network, clips, SMALL, torch.Generator()).with_targets(None)
        )
        for count in (1, 2, 4)
    ]
    assert (margins[1] >= margins[0] - 1e-6).all()
    assert (margins[2] >= margins[1] - 1e-6).all()
    assert (margins[2] > margins[0]).any()


def test_there_are_at_most_all_wrong_classes_to_try() -> None:
    """Five classes have four wrong ones: nine targets are the same attack."""
    network, clips = trained_classifier()
    four, nine = (APGDT(steps=2, num_targets=count)(network, clips, SMALL, torch.Generator()) for count in (4, 9))
    assert torch.equal(four.video, nine.video)


def test_clips_that_are_fooled_are_left_out_of_the_next_target() -> None:
    """64 looks, 64 clips times 4 passes for the first target, then 4 passes for those that it has left."""
    network, clips = trained_classifier()
    first = APGDT(steps=3, num_targets=1)(network, clips, SMALL, torch.Generator()).with_targets(None)
    num_left = int((measured_margin(network, first) <= 0).sum())
    assert 0 < num_left < 64
    counted = Counted(network)
    APGDT(steps=3, num_targets=2)(counted, clips, SMALL, torch.Generator())
    assert counted.forward_passes == 64 + 64 * 4 + num_left * 4
