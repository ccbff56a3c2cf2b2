"""torchattacks (Kim 2020, arXiv:2010.01950) as an independent oracle: the same steps on the packed model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchattacks
from torch import Tensor

from benchmarks.packed import Packed
from tests.training.conftest import random_batch
from training.attacks import FGSM, IFGSM, MIFGSM, PGD, Attack
from training.batch import MODALITIES, Batch
from training.models import Classifier
from training.threat import ThreatModel

THREAT = ThreatModel(video=4 / 255, audio=0.03)
STEPS = (1, 2, 5, 10)
Oracle = Callable[[Packed, int], Any]

PAIRS: dict[str, tuple[Callable[[int], Attack], Oracle]] = {
    "fgsm": (lambda steps: FGSM(), lambda packed, steps: torchattacks.FGSM(packed, eps=packed.epsilon)),
    "ifgsm": (
        lambda steps: IFGSM(steps=steps),
        lambda packed, steps: torchattacks.BIM(packed, eps=packed.epsilon, alpha=packed.epsilon / steps, steps=steps),
    ),
    "pgd": (
        lambda steps: PGD(steps=steps, step_size=0.3, random_start=False),
        lambda packed, steps: torchattacks.PGD(
            packed, eps=packed.epsilon, alpha=0.3 * packed.epsilon, steps=steps, random_start=False
        ),
    ),
    "mifgsm": (
        lambda steps: MIFGSM(steps=steps, momentum_norm="joint"),
        lambda packed, steps: torchattacks.MIFGSM(
            packed, eps=packed.epsilon, alpha=packed.epsilon / steps, steps=steps, decay=1.0
        ),
    ),
}


@pytest.fixture
def clips() -> Batch:
    """Seven clips so far inside [0, 1] that no box binds: a packed box could not bind each value where ours does."""
    noise = random_batch(7)
    return noise.with_streams(noise.video.double() * 0.5 + 0.25, noise.audio.double() * 0.5 + 0.25)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("name", PAIRS)
def test_every_step_agrees(
    name: str, steps: int, model: Classifier, clips: Batch, generator: torch.Generator, restored_random_state: None
) -> None:
    """In double precision nothing but the sign of a gradient of about 1e-16 could differ."""
    ours, theirs = PAIRS[name]
    packed = Packed(model.double().eval(), THREAT, clips)
    perturbed = ours(steps)(packed.model, clips, THREAT, generator)
    expected: Tensor = theirs(packed, steps)(packed.pack(clips), clips.labels)
    for modality, stream in packed.unpack(expected).items():
        assert torch.allclose(perturbed.stream(modality), stream, atol=1e-9)
    assert all(distance.max() > 0 for distance in THREAT.distances(perturbed, clips).values())


@pytest.mark.parametrize("steps", STEPS)
def test_targeted_steps_agree(
    steps: int, model: Classifier, clips: Batch, generator: torch.Generator, restored_random_state: None
) -> None:
    targets = (clips.labels + 1) % 4
    packed = Packed(model.double().eval(), THREAT, clips)
    oracle = torchattacks.PGD(packed, eps=packed.epsilon, alpha=0.3 * packed.epsilon, steps=steps, random_start=False)
    oracle.set_mode_targeted_by_label(quiet=True)
    expected = packed.unpack(oracle(packed.pack(clips), targets))
    attack = PGD(steps=steps, step_size=0.3, random_start=False, target="given")
    perturbed = attack(packed.model, clips.with_targets(targets), THREAT, generator)
    for modality in MODALITIES:
        assert torch.allclose(perturbed.stream(modality), expected[modality], atol=1e-9)


def test_with_the_same_random_start_pgd_agrees(
    model: Classifier, clips: Batch, generator: torch.Generator, restored_random_state: None, monkeypatch: Any
) -> None:
    """One step of size 0+ from our random start is that start: lent to the oracle, it must end where we end."""
    packed = Packed(model.double().eval(), THREAT, clips)
    start = packed.pack(PGD(steps=1, step_size=1e-12)(packed.model, clips, THREAT, generator)) - packed.pack(clips)
    monkeypatch.setattr(Tensor, "uniform_", lambda *_, **__: start)
    oracle = torchattacks.PGD(packed, eps=packed.epsilon, alpha=0.25 * packed.epsilon, steps=10)
    expected = packed.unpack(oracle(packed.pack(clips), clips.labels))
    monkeypatch.undo()
    perturbed = PGD(steps=10)(packed.model, clips, THREAT, generator)
    for modality in MODALITIES:
        assert torch.allclose(perturbed.stream(modality), expected[modality], atol=1e-9)
