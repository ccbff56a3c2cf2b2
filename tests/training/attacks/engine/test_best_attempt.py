from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.training.attacks.linear import LinearClassifier
from tests.training.conftest import random_batch
from training.attacks.engine.best_attempt import BestAttempt, attack_margin, chosen, replaced
from training.batch import Batch
from training.threat import ThreatModel

THREAT = ThreatModel(video=0.1, audio=0.1)


def moved(clips: Batch, shift: Tensor) -> Batch:
    """Frames shifted by one number per clip."""
    return clips.with_streams(clips.video + shift.reshape(-1, 1, 1, 1, 1), clips.audio)


@pytest.fixture
def clips() -> Batch:
    """Three clips inside the box."""
    noise = random_batch(3)
    return noise.with_streams(noise.video / 2 + 0.25, noise.audio / 2 + 0.25)


def test_the_attempt_with_the_larger_margin_stays(clips: Batch) -> None:
    best_attempt = BestAttempt(LinearClassifier(), clips, THREAT)
    everyone = torch.arange(3)
    first, second = moved(clips, torch.full((3,), 0.01)), moved(clips, torch.full((3,), 0.02))
    best_attempt.update(everyone, first, torch.tensor([-1.0, -1.0, 2.0], dtype=torch.float64))
    best_attempt.update(everyone, second, torch.tensor([-2.0, 1.0, 1.0], dtype=torch.float64))
    assert best_attempt.margins.tolist() == [-1.0, 1.0, 2.0]
    assert torch.equal(best_attempt.best.video, torch.stack([first.video[0], second.video[1], first.video[2]]))
    assert best_attempt.remaining.tolist() == [0]


def test_an_attempt_is_measured_inside_the_budget(clips: Batch) -> None:
    best_attempt = BestAttempt(LinearClassifier(), clips, THREAT)
    best_attempt.evaluate(torch.tensor([1]), moved(clips, torch.full((3,), 9.0)).select(torch.tensor([1])))
    assert torch.allclose(best_attempt.best.video[1], (clips.video[1] + 0.1).clamp(0, 1))
    assert best_attempt.margins[[0, 2]].isinf().all(), "the others have not been attempted"


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_scores_that_are_no_numbers_have_fooled_the_model(clips: Batch, score: float) -> None:
    """inf - inf is not a number either."""
    margins = attack_margin(torch.full((3, 4), score), clips)
    assert (margins == math.inf).all()
    assert margins.dtype == torch.float64


def test_a_score_of_minus_infinity_is_an_attempt_all_the_same(clips: Batch) -> None:
    """Its margin is the smallest number that there is, so that it beats having no attempt."""
    scores = torch.full((3, 4), -math.inf).scatter(1, clips.labels[:, None], 0.0)
    margins = attack_margin(scores, clips)
    assert margins.isfinite().all()
    assert (margins < -1e300).all()


def test_clips_are_chosen_one_by_one_and_replaced_by_position(clips: Batch) -> None:
    other = moved(clips, torch.full((3,), 0.1))
    mixed = chosen(torch.tensor([True, False, True]), other, clips)
    assert torch.equal(mixed.video, replaced(clips, torch.tensor([0, 2]), other.select(torch.tensor([0, 2]))).video)
    assert torch.equal(mixed.video[1], clips.video[1])
    assert torch.equal(mixed.video[0], other.video[0])
