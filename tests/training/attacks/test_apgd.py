from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.training.attacks.linear import LinearClassifier, interior
from tests.training.attacks.targets import Counted
from tests.training.attacks.trained import trained_classifier
from tests.training.conftest import random_batch
from training.attacks import APGD, APGDT, Attack
from training.attacks.engine.best_attempt import measured_margin
from training.attacks.engine.losses import LossName
from training.threat import ThreatModel

SMALL = ThreatModel(video=6 / 255, audio=6 / 255)


@pytest.mark.parametrize("loss", ["cross_entropy", "margin"])
def test_on_a_linear_model_the_linf_optimum_is_reached(loss: LossName, generator: torch.Generator) -> None:
    """The score s falls fastest at x - epsilon sign(w)."""
    model, clips = LinearClassifier(), interior(random_batch(5))
    threat = ThreatModel(video=0.05, audio=0.02)
    perturbed = APGD(steps=5, loss=loss)(model, clips, threat, generator)
    assert torch.allclose(perturbed.video, clips.video - 0.05 * model.video.sign().view(1, 4, 3, 16, 16), atol=1e-6)
    assert torch.allclose(perturbed.audio, clips.audio - 0.02 * model.audio.sign().view(1, 4, 16, 16), atol=1e-6)


def test_on_a_linear_model_the_l2_optimum_is_reached(generator: torch.Generator) -> None:
    """The margin -2 s grows by 2 (0.5 ||w_v|| + 0.2 ||w_a||)."""
    model, clips = LinearClassifier().double(), interior(random_batch(5))
    clips = clips.with_streams(clips.video.double(), clips.audio.double())
    threat = ThreatModel(norm="l2", video=0.5, audio=0.2)
    perturbed = APGD(steps=30)(model, clips, threat, generator)
    grown = measured_margin(model, perturbed) - measured_margin(model, clips)
    assert torch.allclose(grown, (2 * (0.5 * model.video.norm() + 0.2 * model.audio.norm())).detach(), rtol=1e-4)


@pytest.mark.parametrize(
    "attacks",
    [
        [APGD(steps=3, restarts=count) for count in (1, 2, 4)],
        [APGDT(steps=3, num_targets=count) for count in (1, 2, 4)],
    ],
    ids=["restarts", "targets"],
)
def test_more_starts_or_targets_never_lower_the_margin(attacks: list[Attack]) -> None:
    network, clips = trained_classifier()
    one, two, four = (
        measured_margin(network, attack(network, clips, SMALL, torch.Generator()).with_targets(None))
        for attack in attacks
    )
    assert (two >= one - 1e-6).all()
    assert (four >= two - 1e-6).all()
    assert (four > one).any()


def test_a_targeted_climb_reaches_its_target(generator: torch.Generator) -> None:
    network, clips = trained_classifier()
    large = SMALL.scaled(8.0)
    perturbed = APGD(steps=10, target="given")(network, clips, large, generator)
    assert clips.targets is not None
    with torch.no_grad():
        named = network(perturbed.video, perturbed.audio).logits.argmax(1)
    assert (named == clips.targets).float().mean() > 0.9


def test_with_two_classes_the_margin_takes_the_ratios_place(generator: torch.Generator) -> None:
    """Towards the one wrong class it is what the margin does without a target: the corner of the ball is found."""
    model, many = LinearClassifier(), random_batch(6)
    clips = replace(many, labels=many.labels % 2, targets=None)
    targeted = APGDT(steps=20)(model, clips, SMALL, generator)
    untargeted = APGD(steps=20, loss="margin")(model, clips, SMALL, generator)
    assert measured_margin(model, targeted).numpy() == pytest.approx(measured_margin(model, untargeted).numpy())


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
