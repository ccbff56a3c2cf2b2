from __future__ import annotations

import torch

from tests.training.conftest import random_batch
from training.attacks import MIFGSM, TIA
from training.attacks.features import temporal_variation
from training.models import Classifier
from training.threat import ThreatModel

THREAT = ThreatModel(video=8 / 255, audio=8 / 255)


def test_one_segment_is_mifgsm_bit_for_bit(model: Classifier, generator: torch.Generator) -> None:
    clips = random_batch(5, num_segments=1)
    one, other = (attack(model, clips, THREAT, generator) for attack in (TIA(steps=5), MIFGSM(steps=5)))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_features_vary_less_over_time_than_under_the_plain_attack(
    model: Classifier, generator: torch.Generator
) -> None:
    clips = random_batch(16)
    variations = []
    for attack in (MIFGSM(), TIA(temporal_weight=1.0)):
        perturbed = attack(model, clips, THREAT, generator)
        with torch.no_grad():
            outputs = model(perturbed.video, perturbed.audio)
        variations.append(float(temporal_variation(outputs.video_features, outputs.audio_features).mean()))
    assert variations[1] < variations[0]
