"""Attacks held to their promises, at the moments that they are made at and at those that they are judged at."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from evaluation.planning.plan import Measurement
from evaluation.tasks.crafting import BudgetError, attack_checked
from training.attacks import PGD, Attack
from training.attacks.engine.moments import OtherMoments
from training.batch import MODALITIES, Batch
from training.models import Classifier
from training.passes import Passes
from training.threat import ThreatModel

OTHER = ThreatModel(video=7 / 255, audio=7 / 255, moments="other")


class Shift(Attack):
    """Breaks its promise: moves every frame by 0.1 whatever the budget."""

    name: Literal["shift"] = "shift"

    def __call__(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        return batch.with_streams(batch.video + 0.1, batch.audio)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        return batch

    @property
    def cost(self) -> Passes:
        return Passes()


def moments_of(clips: Batch, delay: float) -> OtherMoments:
    return OtherMoments(clips.video, clips.audio, torch.full((len(clips),), delay, dtype=torch.float64))


def test_an_attack_that_leaves_its_budget_stops_the_evaluation(model: Classifier, clips: Batch) -> None:
    with pytest.raises(
        BudgetError, match=r"attack 'shift' left linf\(.*\): clip 'clip_1_0000' has video at distance 0.1"
    ):
        attack_checked(model, clips, Measurement(Shift(), ThreatModel()), seed=0)


def test_at_the_same_moments_the_perturbation_is_that_of_known_ones(model: Classifier, few_clips: Batch) -> None:
    known, other = (
        attack_checked(model, few_clips, Measurement(PGD(steps=3), threat), seed=0, moments=moments)
        for threat, moments in (
            (ThreatModel(video=7 / 255, audio=7 / 255), None),
            (OTHER, moments_of(few_clips, 0.0)),
        )
    )
    for name in MODALITIES:
        assert torch.equal(known.steps[name], other.steps[name])
        assert torch.equal(known.scale[name], other.scale[name])


def test_it_is_made_where_the_attacker_looks_and_is_around_what_the_model_meets(
    model: Classifier, few_clips: Batch
) -> None:
    """A segment later: frame 0 of what the model meets is changed as frame 1 of the attacked clip."""
    there = few_clips.with_streams(few_clips.video.flip(0), few_clips.audio.flip(0))
    measurement = Measurement(PGD(steps=3), OTHER)
    here = attack_checked(model, few_clips, measurement, seed=0).applied(few_clips, OTHER).video - few_clips.video
    found = attack_checked(model, few_clips, measurement, seed=0, moments=moments_of(there, 1.0))
    met = found.applied(there, OTHER).video - there.video
    inner = (there.video > 7 / 255) & (there.video < 1 - 7 / 255)
    assert torch.allclose(met[:, 0][inner[:, 0]], here[:, 1][inner[:, 0]], atol=1e-5)
