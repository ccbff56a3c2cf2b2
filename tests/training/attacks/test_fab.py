from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from tests.training.attacks.linear import LinearClassifier
from tests.training.attacks.trained import trained_classifier
from tests.training.conftest import random_batch
from training.attacks import FAB, PGD
from training.attacks.engine.best_attempt import measured_margin
from training.batch import MODALITIES, Batch
from training.threat import ThreatModel

RATIOS = {
    "linf": ThreatModel(video=0.1, audio=0.2),
    "l2": ThreatModel(norm="l2", video=1.0, audio=2.0),
}
SMALL = ThreatModel(video=6 / 255, audio=6 / 255)


def scored(model: LinearClassifier) -> tuple[Batch, Tensor]:
    """Clips inside the box, labelled as the model does, and the size of their scores."""
    noise = random_batch(16)
    clips = noise.with_streams(noise.video.double() / 2 + 0.25, noise.audio.double() / 2 + 0.25)
    logits = model(clips.video, clips.audio).logits.detach()
    return Batch(clips.video, clips.audio, logits.argmax(1), clips.keys), logits[:, 0].abs()


def radius(perturbed: Batch, clean: Batch, threat: ThreatModel) -> Tensor:
    """Largest share of its budget that a modality uses, per clip."""
    distances = threat.distances(perturbed, clean)
    return torch.stack([distances[name] / threat.epsilon(name) for name in MODALITIES]).amax(0)


@pytest.mark.parametrize("norm", RATIOS)
def test_on_a_linear_model_the_smallest_perturbation_is_found(norm: str, generator: torch.Generator) -> None:
    """t (epsilon_v ||w_v||_* + epsilon_a ||w_a||_*) = |s|, with the dual norm; the search may stop 1 % behind it."""
    model = LinearClassifier().double()
    clips, scores = scored(model)
    order = 1 if norm == "linf" else 2
    gains = [RATIOS[norm].epsilon(name) * getattr(model, name).detach().norm(p=order) for name in MODALITIES]
    needed = scores / (gains[0] + gains[1])
    half = float(needed.median()) * 1.02  # enough for half of the clips
    threat, closed_form = RATIOS[norm].scaled(half), needed / half
    is_inside = closed_form < 0.99
    assert is_inside.sum() == 8
    perturbed = FAB(steps=10)(model, clips, threat, generator)
    found = radius(perturbed, clips, threat)[is_inside]
    assert (found >= closed_form[is_inside] * (1 - 1e-9)).all()
    assert (found <= closed_form[is_inside] * 1.011).all()
    assert torch.equal(measured_margin(model, perturbed) > 0, closed_form < 1.0)


def test_clips_are_fooled_from_nearer_than_a_search_at_full_budget_would() -> None:
    """PGD uses the whole budget whatever a clip needs."""
    network, clips = trained_classifier()
    clips = clips.select(torch.arange(32))
    fab = FAB(steps=5, num_targets=2)(network, clips, SMALL, torch.Generator()).with_targets(None)
    pgd = PGD(steps=10)(network, clips, SMALL, torch.Generator())
    clean = measured_margin(network, clips.with_targets(None)) <= 0
    is_fooled = clean & (measured_margin(network, fab) > 0)
    assert is_fooled.sum() >= 5
    assert radius(fab, clips, SMALL)[is_fooled].mean() < 0.8 * radius(pgd, clips, SMALL)[is_fooled].mean()


def test_more_targets_or_restarts_never_leave_more_clips_right() -> None:
    network, clips = trained_classifier()
    clips = clips.select(torch.arange(32))
    right = []
    for settings in ({"num_targets": 1}, {"num_targets": 4}, {"num_targets": 4, "restarts": 2}):
        attack = FAB.model_validate({"steps": 3} | settings)
        perturbed = attack(network, clips, SMALL, torch.Generator()).with_targets(None)
        right.append(measured_margin(network, perturbed) <= 0)
    for before, after in itertools.pairwise(right):
        assert not (after & ~before).any()


def test_a_clip_that_is_wrong_untouched_is_moved_further_away(generator: torch.Generator) -> None:
    """One step as far beyond the boundary as it is: on a linear model its margin doubles, the budget allowing."""
    model, threat = LinearClassifier().double(), ThreatModel(video=0.2, audio=0.2)
    clips, scores = scored(model)
    wrong = Batch(clips.video, clips.audio, 1 - clips.labels, clips.keys)
    near = scores < 0.5 * 0.2 * (model.video.abs().sum() + model.audio.abs().sum()).detach()
    perturbed = FAB(steps=1)(model, wrong, threat, generator)
    assert near.any()
    assert torch.allclose(measured_margin(model, perturbed)[near], 2 * measured_margin(model, wrong)[near])
