from __future__ import annotations

from typing import Literal

import pytest
import torch

from training.attacks import MIFGSM, MMA, PGD, TIA, TMA
from training.attacks.feature_attack import FeatureAttack
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel

THREAT = ThreatModel(video=8 / 255, audio=8 / 255)
every_member = pytest.mark.parametrize(
    ("member", "weightless"),
    [
        (TIA, {"temporal_weight": 0.0}),
        (MMA, {"modality_weight": 0.0}),
        (TMA, {"temporal_weight": 0.0, "modality_weight": 0.0}),
    ],
)


@every_member
@pytest.mark.parametrize("combination", ["normalised", "weighted"])
def test_weight_zero_is_mifgsm_bit_for_bit(
    member: type[FeatureAttack],
    weightless: dict[str, float],
    combination: Literal["normalised", "weighted"],
    model: Classifier,
    batch: Batch,
    generator: torch.Generator,
) -> None:
    attack = member.model_validate({"steps": 5, "combination": combination, **weightless})
    one, other = (each(model, batch, THREAT, generator) for each in (attack, MIFGSM(steps=5)))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


@every_member
def test_weight_zero_with_a_random_start_is_pgd_bit_for_bit(
    member: type[FeatureAttack],
    weightless: dict[str, float],
    model: Classifier,
    batch: Batch,
    generator: torch.Generator,
) -> None:
    attack = member.model_validate({"steps": 5, "momentum": 0.0, "random_start": True, **weightless})
    one, other = (each(model, batch, THREAT, generator) for each in (attack, PGD(steps=5)))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)
