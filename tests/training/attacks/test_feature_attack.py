from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from training.attacks import MIFGSM, MMA, PGD, TIA, TMA
from training.attacks.base import Cost
from training.attacks.feature_attack import FeatureAttack
from training.attacks.sharing import Sharing
from training.batch import Batch
from training.models import Classifier, Outputs
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


@pytest.mark.parametrize("of", ["gradient", "perturbation"])
@pytest.mark.parametrize("loss", ["cross_entropy", "margin", "dlr"])
def test_weight_zero_shares_and_climbs_as_mifgsm_does(
    of: Literal["gradient", "perturbation"],
    loss: Literal["cross_entropy", "margin", "dlr"],
    model: Classifier,
    batch: Batch,
    generator: torch.Generator,
) -> None:
    sharing = Sharing(segments=2, of=of)
    tma = TMA(steps=2, temporal_weight=0.0, modality_weight=0.0, temporal="copies", sharing=sharing, loss=loss)
    one, other = (
        attack(model, batch, THREAT, generator) for attack in (tma, MIFGSM(steps=2, sharing=sharing, loss=loss))
    )
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


@pytest.mark.parametrize(
    ("attack", "cost"),
    [
        (TIA(steps=10), Cost(10, 10)),
        (TIA(steps=5, temporal="copies", num_copies=1), Cost(10, 10)),
        (TMA(steps=3, temporal="copies", num_copies=2), Cost(9, 9)),
        (TIA(steps=5, temporal="copies", num_copies=2, temporal_weight=0.0), Cost(5, 5)),
        (TMA(steps=2, temporal="copies", target="least_likely"), Cost(5, 4)),
        (MMA(steps=10), Cost(10, 10)),
    ],
    ids=str,
)
def test_every_copy_costs_a_pass_and_the_model_is_run_as_often(
    attack: FeatureAttack, cost: Cost, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    class Counting(nn.Module):
        calls = 0

        def forward(self, video: torch.Tensor, audio: torch.Tensor) -> Outputs:
            self.calls += 1
            outputs: Outputs = model(video, audio)
            return outputs

    assert attack.cost == cost
    counting = Counting()
    attack(counting, batch, THREAT, generator)
    assert counting.calls == cost.forward


@pytest.mark.parametrize(
    "attack",
    [
        TIA(steps=2, temporal="copies"),
        TIA(steps=2, features="raw", combination="weighted"),
        MMA(steps=2, agreement="segments"),
        MMA(steps=2, agreement="predictions"),
        MMA(steps=2, agreement="literal"),
        TMA(steps=2, temporal="copies", combination="weighted"),
    ],
    ids=str,
)
def test_every_reading_moves_clips_otherwise_than_mifgsm_and_than_its_opposite(
    attack: FeatureAttack, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    opposite = {name: -value for name, value in attack.model_dump().items() if name.endswith("_weight")}
    flipped = type(attack).model_validate({**attack.model_dump(), **opposite})
    found = [each(model, batch, THREAT, generator).video for each in (attack, flipped, MIFGSM(steps=2))]
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
