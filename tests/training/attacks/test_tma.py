from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from tests.training.conftest import random_batch
from training.attacks import MIFGSM, MMA, PGD, TIA, TMA
from training.attacks.engine.averaging import TemporalGroups
from training.attacks.engine.features import agreement_between, variation
from training.attacks.engine.terms import AgreementName
from training.attacks.engine.transforms import transformed
from training.attacks.tma import FeatureAttack
from training.batch import Batch
from training.models import Classifier, Outputs
from training.passes import Passes
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
    sharing = TemporalGroups(segments=2, of=of)
    tma = TMA(steps=2, temporal_weight=0.0, modality_weight=0.0, temporal="copies", sharing=sharing, loss=loss)
    one, other = (
        attack(model, batch, THREAT, generator) for attack in (tma, MIFGSM(steps=2, sharing=sharing, loss=loss))
    )
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


@pytest.mark.parametrize(
    ("attack", "cost"),
    [
        (TIA(steps=10), Passes(10, 10)),
        (TIA(steps=5, temporal="copies", num_copies=1), Passes(10, 10)),
        (TMA(steps=3, temporal="copies", num_copies=2), Passes(9, 9)),
        (TIA(steps=5, temporal="copies", num_copies=2, temporal_weight=0.0), Passes(5, 5)),
        (TMA(steps=2, temporal="copies", target="least_likely"), Passes(5, 4)),
        (MMA(steps=10), Passes(10, 10)),
    ],
    ids=str,
)
def test_every_copy_costs_a_pass_and_the_model_is_run_as_often(
    attack: FeatureAttack, cost: Passes, model: Classifier, batch: Batch, generator: torch.Generator
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


THREAT = ThreatModel(video=8 / 255, audio=8 / 255)


def test_one_segment_is_mifgsm_bit_for_bit(model: Classifier, generator: torch.Generator) -> None:
    clips = random_batch(5, num_segments=1)
    one, other = (attack(model, clips, THREAT, generator) for attack in (TIA(steps=5), MIFGSM(steps=5)))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_the_sign_of_the_weight_decides_how_much_features_vary_over_time(
    model: Classifier, generator: torch.Generator
) -> None:
    clips = random_batch(16)
    variations = []
    for attack in (TIA(temporal_weight=-1.0), MIFGSM(), TIA(temporal_weight=1.0)):
        perturbed = attack(model, clips, THREAT, generator)
        with torch.no_grad():
            outputs = model(perturbed.video, perturbed.audio)
        variations.append(float(variation("consecutive", "normalised", [outputs], model).mean()))
    assert variations[2] < variations[1] < variations[0]


def test_copies_vary_less_than_under_the_plain_attack(model: Classifier, generator: torch.Generator) -> None:
    """Features of the attacked clip and of its masked copy, of a draw that the attack has not seen."""
    clips = random_batch(16)
    variations = []
    for attack in (MIFGSM(steps=5), TIA(steps=5, temporal="copies", transforms=("mask",), temporal_weight=1.0)):
        perturbed = attack(model, clips, THREAT, generator)
        copy = transformed(perturbed, "mask", generator, "unseen")
        with torch.no_grad():
            looks = [model(each.video, each.audio) for each in (perturbed, copy)]
        variations.append(float(variation("copies", "normalised", looks, model).mean()))
    assert variations[1] < variations[0]


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


THREAT = ThreatModel(video=8 / 255, audio=8 / 255)


def test_one_weight_alone_is_the_attack_of_that_term(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    for union, single in (
        (TMA(temporal_weight=0.2, modality_weight=0.0), TIA(temporal_weight=0.2)),
        (TMA(temporal_weight=0.0, modality_weight=0.4), MMA(modality_weight=0.4)),
    ):
        assert torch.equal(union(model, batch, THREAT, generator).video, single(model, batch, THREAT, generator).video)
