from __future__ import annotations

import torch

from evaluation.masking.noise import UniformNoise, noisy
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel


def test_noise_fills_its_budget_and_belongs_to_the_clip(model: Classifier, few_clips: Batch) -> None:
    threat = ThreatModel(video=0.1, audio=0.0)
    generator = torch.Generator().manual_seed(3)
    found = UniformNoise()(model, few_clips, threat, generator)
    alone = UniformNoise()(model, few_clips.select(torch.tensor([4])), threat, generator)
    assert torch.equal(found.video[[4]], alone.video)
    assert torch.equal(found.audio, few_clips.audio)
    change = (found.video - few_clips.video).flatten(1)
    assert (change.amax(1) > 0.099).all()
    assert (change.abs() <= 0.1 + 1e-6).all()
    assert UniformNoise().cost.forward == 0


def test_a_share_of_the_budget_is_as_long_in_l2(few_clips: Batch) -> None:
    threat = ThreatModel(norm="l2", video=2.0, audio=1.0)
    found = noisy(few_clips, threat, torch.Generator().manual_seed(0), "some", share=0.5)
    distances = threat.distances(found, few_clips)
    assert torch.allclose(distances["video"], torch.ones(15), atol=1e-4)
    assert torch.allclose(distances["audio"], torch.full((15,), 0.5), atol=1e-4)
