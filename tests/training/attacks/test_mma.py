from __future__ import annotations

import pytest
import torch

from tests.training.conftest import random_batch
from training.attacks import MIFGSM, MMA
from training.attacks.features import agreement_between
from training.attacks.readings import AgreementName
from training.models import Classifier
from training.threat import ThreatModel

THREAT = ThreatModel(video=8 / 255, audio=8 / 255)


@pytest.mark.parametrize("agreement", ["means", "segments", "predictions"])
def test_modalities_agree_less_than_under_the_plain_attack(
    agreement: AgreementName, model: Classifier, generator: torch.Generator
) -> None:
    clips = random_batch(16)
    agreements = []
    for attack in (MIFGSM(), MMA(modality_weight=1.0, agreement=agreement)):
        perturbed = attack(model, clips, THREAT, generator)
        with torch.no_grad():
            outputs = model(perturbed.video, perturbed.audio)
        agreements.append(float(agreement_between(agreement, outputs, model).mean()))
    assert agreements[1] < agreements[0]
