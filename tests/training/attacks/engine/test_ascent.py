from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.training.attacks.linear import LinearClassifier, interior
from training.attacks import FGSM, IFGSM, MIFGSM, PGD, Attack
from training.attacks.engine.ascent import Ascent, default_step_size
from training.attacks.engine.averaging import TemporalGroups
from training.attacks.engine.gradients import classification_gradient
from training.batch import MODALITIES, Batch
from training.threat import ThreatModel

INTERIOR = ThreatModel(video=0.05, audio=0.02)


@pytest.fixture(name="interior")
def interior_batch(batch: Batch) -> Batch:
    """Clips so far from 0 and 1 that the box never binds, all of class 0."""
    return interior(batch)


@pytest.mark.parametrize(
    "attack", [FGSM(), IFGSM(steps=4), MIFGSM(steps=4), PGD(steps=10), PGD(steps=10, loss="margin")], ids=str
)
def test_on_a_linear_model_the_linf_optimum_is_reached(
    attack: Attack, interior: Batch, generator: torch.Generator
) -> None:
    """The score s falls fastest at x - epsilon sign(w): every value of the clip is at its budget."""
    model = LinearClassifier()
    perturbed = attack(model, interior, INTERIOR, generator)
    video_shift = -0.05 * model.video.sign().view(1, 4, 3, 16, 16)
    audio_shift = -0.02 * model.audio.sign().view(1, 4, 16, 16)
    assert torch.allclose(perturbed.video, interior.video + video_shift, atol=1e-6)
    assert torch.allclose(perturbed.audio, interior.audio + audio_shift, atol=1e-6)


@pytest.mark.parametrize("attack", [FGSM(), IFGSM(steps=4), PGD(steps=50)], ids=str)
def test_on_a_linear_model_the_l2_optimum_is_reached(
    attack: Attack, interior: Batch, generator: torch.Generator
) -> None:
    """The score falls fastest along -w / ||w||, for the length of the budget."""
    model = LinearClassifier()
    threat = ThreatModel(norm="l2", video=0.5, audio=0.2)
    perturbed = attack(model, interior, threat, generator)
    delta = (perturbed.video - interior.video).flatten(1)
    along = torch.cosine_similarity(delta, -model.video[None].detach(), dim=1)
    assert torch.allclose(delta.norm(dim=1), torch.tensor(0.5))
    assert along.min() > 0.98  # what a random start adds across -w fades by 1 - 2.5 / steps a step


def test_default_steps_cross_the_ball() -> None:
    assert default_step_size(10, random_start=False) == pytest.approx(0.1)
    assert default_step_size(10, random_start=True) == pytest.approx(0.25)
    assert default_step_size(1, random_start=True) == 1.25


NO_STEP = Ascent(steps=0, step_size=0.0, random_start=True)


def begun(ascent: Ascent, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
    return ascent(LinearClassifier(), batch, threat, generator, classification_gradient())


@pytest.mark.parametrize("text", ["linf(video=0.3, audio=0.2)", "l2(video=0.3, audio=0.2, segments=0-1)"])
def test_a_random_start_lies_inside_ball_box_and_support(text: str, batch: Batch, generator: torch.Generator) -> None:
    """The clips touch the box, so some of the noise is cut off."""
    threat = ThreatModel.model_validate(text)
    found = begun(NO_STEP, batch, threat, generator)
    for name, distances in threat.distances(found, batch).items():
        assert (distances > 0).all()
        assert (distances <= threat.epsilon(name) * (1 + 1e-5)).all()
        assert found.stream(name).min() >= 0
        assert found.stream(name).max() <= 1
        untouched = (~threat.support(found.stream(name))).flatten()
        assert torch.equal(found.stream(name)[:, untouched], batch.stream(name)[:, untouched])


def test_every_restart_begins_elsewhere(batch: Batch, generator: torch.Generator) -> None:
    second = replace(NO_STEP, restart=1)
    first_start, second_start = (begun(each, batch, INTERIOR, generator) for each in (NO_STEP, second))
    for name in MODALITIES:
        assert not (first_start.stream(name) == second_start.stream(name)).flatten(1).all(1).any()


def test_segments_that_share_a_perturbation_begin_at_the_mean_of_their_random_points(
    interior: Batch, generator: torch.Generator
) -> None:
    apart, together = (
        begun(each, interior, INTERIOR, generator).video - interior.video
        for each in (NO_STEP, replace(NO_STEP, sharing=TemporalGroups(segments=4, of="perturbation")))
    )
    torch.testing.assert_close(together, apart.mean(1, keepdim=True).expand_as(apart))
