from __future__ import annotations

from typing import Literal

import pytest
import torch

from tests.training.conftest import random_batch
from training.attacks import MIFGSM, MMA, PGD
from training.attacks.features import modality_agreement
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel

THREAT = ThreatModel(video=8 / 255, audio=8 / 255)


@pytest.mark.parametrize("combination", ["normalised", "weighted"])
def test_weight_zero_is_mifgsm_bit_for_bit(
    combination: Literal["normalised", "weighted"], model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    attack = MMA(steps=5, combination=combination, modality_weight=0.0)
    one, other = (each(model, batch, THREAT, generator) for each in (attack, MIFGSM(steps=5)))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_weight_zero_with_a_random_start_is_pgd_bit_for_bit(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    attack = MMA(steps=5, momentum=0.0, random_start=True, modality_weight=0.0)
    one, other = (each(model, batch, THREAT, generator) for each in (attack, PGD(steps=5)))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_modalities_agree_less_than_under_the_plain_attack(model: Classifier, generator: torch.Generator) -> None:
    clips = random_batch(16)
    agreements = []
    for attack in (MIFGSM(), MMA(modality_weight=1.0)):
        perturbed = attack(model, clips, THREAT, generator)
        with torch.no_grad():
            outputs = model(perturbed.video, perturbed.audio)
        agreements.append(float(modality_agreement(outputs.video_features, outputs.audio_features).mean()))
    assert agreements[1] < agreements[0]
