from __future__ import annotations

from typing import Literal

import pytest
import torch

from training.attacks import MIFGSM, MMA, PGD, TIA, TMA
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel

THREAT = ThreatModel(video=8 / 255, audio=8 / 255)


@pytest.mark.parametrize("combination", ["normalised", "weighted"])
def test_weight_zero_is_mifgsm_bit_for_bit(
    combination: Literal["normalised", "weighted"], model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    attack = TMA(steps=5, combination=combination, temporal_weight=0.0, modality_weight=0.0)
    one, other = (each(model, batch, THREAT, generator) for each in (attack, MIFGSM(steps=5)))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_weight_zero_with_a_random_start_is_pgd_bit_for_bit(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    attack = TMA(steps=5, momentum=0.0, random_start=True, temporal_weight=0.0, modality_weight=0.0)
    one, other = (each(model, batch, THREAT, generator) for each in (attack, PGD(steps=5)))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_one_weight_alone_is_the_attack_of_that_term(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    for union, single in (
        (TMA(temporal_weight=0.2, modality_weight=0.0), TIA(temporal_weight=0.2)),
        (TMA(temporal_weight=0.0, modality_weight=0.4), MMA(modality_weight=0.4)),
    ):
        assert torch.equal(union(model, batch, THREAT, generator).video, single(model, batch, THREAT, generator).video)
