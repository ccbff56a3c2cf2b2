from __future__ import annotations

import pytest
import torch

from evaluation.prediction.certification import certify, weakest
from evaluation.prediction.config import PredictConfig
from evaluation.prediction.results import Certificate
from training.attacks import PGD
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel


def test_the_attack_changes_the_class_at_the_budget_and_not_a_step_below(model: Classifier, few_clips: Batch) -> None:
    """For PGD without a random start and a trained model: bisection ends between two neighbours of its grid."""
    config = PredictConfig(attack=PGD(steps=5, random_start=False), threat=ThreatModel(video=8 / 255, audio=8 / 255))
    predicted = model(few_clips.video, few_clips.audio).logits.argmax(1)
    clips = Batch(few_clips.video, few_clips.audio, predicted, few_clips.keys)
    certificates = certify(model, few_clips, predicted, config)
    assert any(each.is_broken for each in certificates)
    generator = torch.Generator().manual_seed(config.seed)
    for row, each in enumerate(certificates):
        clip = clips.select(torch.tensor([row]))
        at = config.threat.scaled(each.epsilon_video / config.threat.video)
        step = config.largest_factor / 2**config.rounds
        below = config.threat.scaled(max(each.epsilon_video / config.threat.video - step, 1e-9))
        for threat, changes in ((at, each.is_broken), (below, False)):
            moved = config.attack(model, clip, threat, generator)
            assert (int(model(moved.video, moved.audio).logits.argmax()) != int(predicted[row])) == changes


def test_one_modality_is_searched_alone(model: Classifier, few_clips: Batch) -> None:
    config = PredictConfig(attack=PGD(steps=3), threat=ThreatModel(video=0, audio=8 / 255))
    predicted = model(few_clips.video, few_clips.audio).logits.argmax(1)
    for each in certify(model, few_clips, predicted, config):
        assert each.epsilon_video == 0
        assert 0 < each.epsilon_audio <= 32 / 255 + 1e-9


def test_a_clip_that_withstands_names_the_largest_budget(model: Classifier, few_clips: Batch) -> None:
    config = PredictConfig(attack=PGD(steps=1), threat=ThreatModel(video=1e-6, audio=1e-6), largest_factor=2)
    predicted = model(few_clips.video, few_clips.audio).logits.argmax(1)
    for each in certify(model, few_clips, predicted, config):
        assert not each.is_broken
        assert each.epsilon_video == pytest.approx(2e-6)


def test_the_weakest_is_the_first_to_break() -> None:
    def certificate(epsilon: float, *, is_broken: bool) -> Certificate:
        return Certificate(is_broken=is_broken, threat="", epsilon_video=epsilon, epsilon_audio=epsilon, attack="pgd")

    withstands, soon, late = (
        certificate(0.1, is_broken=False),
        certificate(0.2, is_broken=True),
        certificate(0.3, is_broken=True),
    )
    assert weakest([withstands, late, soon]) is soon
    assert weakest([]) is None
