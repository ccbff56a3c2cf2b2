"""torchattacks (Kim 2020, arXiv:2010.01950) as an independent oracle: the same steps on the packed model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torchattacks
from torch import Tensor

from benchmarks.packed import Packed
from tests.training.conftest import random_batch
from training.attacks import APGD, FGSM, IFGSM, MIFGSM, NIFGSM, PGD, Attack
from training.attacks.engine.losses import LossName, attack_loss
from training.attacks.engine.starts import start_at_radius
from training.batch import MODALITIES, Batch
from training.models import Classifier
from training.threat import ThreatModel

THREAT = ThreatModel(video=4 / 255, audio=0.03)
SMALL = ThreatModel(video=1e-4, audio=1e-3)
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
    "nifgsm": (
        lambda steps: NIFGSM(steps=steps, momentum_norm="joint"),
        lambda packed, steps: torchattacks.NIFGSM(
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


@pytest.fixture
def both_apgd(
    model: Classifier,
    clips: Batch,
    generator: torch.Generator,
    restored_random_state: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[int, LossName], tuple[Batch, Batch, Batch]]:
    """Clean clips, ours and theirs after so many steps from the same start.

    Clips have the labels that the model gives them and a budget that fools none, so that both return the point of
    highest loss.
    """
    packed = Packed(model.double().eval(), SMALL, clips)
    right = replace(clips, labels=packed(packed.pack(clips)).argmax(1))
    start = packed.pack(start_at_radius(right, SMALL, generator, "start 0")) - packed.pack(right)

    def run(steps: int, loss: LossName) -> tuple[Batch, Batch, Batch]:
        oracle = torchattacks.APGD(packed, eps=packed.epsilon, steps=steps, loss="dlr" if loss == "dlr" else "ce")
        with monkeypatch.context() as lent:
            lent.setattr(torch, "rand", lambda *_, **__: (start / packed.epsilon + 1) / 2)
            torch.set_default_dtype(torch.float64)  # in which the oracle keeps its losses
            try:
                _, expected = oracle.perturb(packed.pack(right), right.labels, best_loss=True)
            finally:
                torch.set_default_dtype(torch.float32)
        ours = APGD(steps=steps, loss=loss)(packed.model, right, SMALL, generator)
        return right, ours, right.with_streams(**packed.unpack(expected))

    return run


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_from_the_same_start_apgd_finds_the_same_points_of_highest_loss(
    steps: int, both_apgd: Callable[[int, LossName], tuple[Batch, Batch, Batch]]
) -> None:
    _, ours, theirs = both_apgd(steps, "cross_entropy")
    for modality in MODALITIES:
        assert (ours.stream(modality) - theirs.stream(modality)).abs().amax() <= 1e-6 * SMALL.epsilon(modality)


@pytest.mark.parametrize("loss", ["cross_entropy", "dlr"])
@pytest.mark.parametrize("steps", [10, 50])
def test_a_long_apgd_climbs_as_high(
    steps: int,
    loss: LossName,
    model: Classifier,
    both_apgd: Callable[[int, LossName], tuple[Batch, Batch, Batch]],
) -> None:
    """The oracle counts the loss before the first step as 0, so that its first halving can differ from Algorithm 1."""
    heights = [attack_loss(model(one.video, one.audio).logits, one, loss) for one in both_apgd(steps, loss)]
    ours, theirs = ((height - heights[0]) for height in heights[1:])
    assert theirs.amin() > 0
    assert ((ours / theirs) > 0.98).all()
    assert ours.mean() >= 0.995 * theirs.mean()
