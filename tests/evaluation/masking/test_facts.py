from __future__ import annotations

import torch

from evaluation.masking.facts import clip_facts
from evaluation.stored.certificates import CLIP_COLUMNS
from tests.evaluation.masking.zoo import honest, masked
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel

THREAT = ThreatModel(video=7 / 255, audio=7 / 255)


def test_looking_at_the_clips_leaves_the_model_as_it_was(model: Classifier, few_clips: Batch) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    try:
        clip_facts(model, few_clips, THREAT)
        assert all(module.training for module in model.modules())
    finally:
        model.eval()
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_every_fact_is_a_column_and_a_modality_without_a_budget_has_none(model: Classifier, few_clips: Batch) -> None:
    facts = clip_facts(model, few_clips, ThreatModel(video=7 / 255, audio=0))
    (row, *_) = facts.rows(few_clips)
    without = {f"audio_{what}" for what in ("alignment", "rise", "smoothed_rise", "path_gradient")}
    assert set(row) == set(CLIP_COLUMNS) - without


def test_a_gradient_does_not_vanish_with_confidence(model: Classifier, few_clips: Batch) -> None:
    """The cross-entropy of logits times 10,000 has no gradient in single precision; their margin has."""
    facts = clip_facts(honest("logits times 10,000", model), few_clips, THREAT)
    assert (facts.video_gradient > 0).all()
    assert (clip_facts(masked("detached input", model), few_clips, THREAT).video_gradient == 0).all()
