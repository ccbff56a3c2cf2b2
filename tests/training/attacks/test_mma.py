from __future__ import annotations

import torch

from tests.training.conftest import random_batch
from training.attacks import MIFGSM, MMA
from training.attacks.features import modality_agreement
from training.models import Classifier
from training.threat import ThreatModel

THREAT = ThreatModel(video=8 / 255, audio=8 / 255)


def test_modalities_agree_less_than_under_the_plain_attack(model: Classifier, generator: torch.Generator) -> None:
    clips = random_batch(16)
    agreements = []
    for attack in (MIFGSM(), MMA(modality_weight=1.0)):
        perturbed = attack(model, clips, THREAT, generator)
        with torch.no_grad():
            outputs = model(perturbed.video, perturbed.audio)
        agreements.append(float(modality_agreement(outputs.video_features, outputs.audio_features).mean()))
    assert agreements[1] < agreements[0]
