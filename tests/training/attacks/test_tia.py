from __future__ import annotations

import torch

from tests.training.conftest import random_batch
from training.attacks import MIFGSM, TIA
from training.attacks.features import variation
from training.attacks.transforms import transformed
from training.models import Classifier
from training.threat import ThreatModel

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
