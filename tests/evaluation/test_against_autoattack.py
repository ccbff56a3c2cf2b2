"""The `standard` list against the AutoAttack that torchattacks brings, clip by clip, on an open and a robust model."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torchattacks
from jaxtyping import Bool
from torch.nn import functional

from benchmarks.packed import Packed
from evaluation.attack_lists import ATTACK_LISTS, attack_label
from evaluation.config import EvaluateConfig
from evaluation.planning.plan import listed
from evaluation.tasks.measurement import measure_all
from tests.evaluation.conftest import NUM_CLASSES, in_batches, make_clips
from training.attacks import PGD
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel

TRAINED_AGAINST = ThreatModel(video=4 / 255, audio=4 / 255)
THREATS = {
    name: ThreatModel(video=budget / 255, audio=budget / 255) for name, budget in (("standard", 6), ("robust", 8))
}
"""Under which each model keeps some of its clips and loses others."""
IsRobust = Bool[np.ndarray, " clips"]


def inside(clips: Batch) -> Batch:
    """The clips so far inside [0, 1] that no box binds: the packed box could not bind each value where ours does."""
    return clips.with_streams(clips.video * 0.9 + 0.05, clips.audio * 0.9 + 0.05)


def robust(model: Classifier) -> Classifier:
    """The model after some epochs of adversarial training."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    attack, generator = PGD(steps=3), torch.Generator().manual_seed(0)
    for _ in range(8):
        for batch in in_batches(inside(make_clips(256, seed=0)), 32):
            perturbed = attack(model, batch, TRAINED_AGAINST, generator)
            loss = functional.cross_entropy(model(perturbed.video, perturbed.audio).logits, batch.labels)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return model.eval()


def ours(model: Classifier, clips: Batch, threat: ThreatModel) -> IsRobust:
    """The clips that withstand the whole list, as an evaluation measures it: the dear attacks on what is left."""
    config = EvaluateConfig(
        checkpoint="c", data="d", output="o", threat=threat, attacks=ATTACK_LISTS["standard"], skip_fooled=True
    )
    pieces = measure_all(model, [clips], listed(config), seed=0, model_sha256="ab")
    found = {piece.measurement: piece.certificates.is_robust for piece in pieces}
    labels = [attack_label(config.attacks[number]) for number in found]
    assert labels[-4:] == ["apgd-100", "apgdt-100", "fab-100", "square"]
    return np.asarray(np.logical_and.reduce(list(found.values())))


def theirs(model: Classifier, clips: Batch, threat: ThreatModel) -> IsRobust:
    """The clips that withstand APGD, APGD-T and FAB-T, each with 100 steps: their Square cannot take packed clips."""
    packed = Packed(model, threat, clips)
    pictures, labels = packed.pack(clips), clips.labels
    with torch.no_grad():
        withstands = packed(pictures).argmax(1) == labels
    attacks = (
        torchattacks.APGD(packed, eps=packed.epsilon, steps=100),
        torchattacks.APGDT(packed, eps=packed.epsilon, steps=100, n_classes=NUM_CLASSES),
        torchattacks.FAB(packed, eps=packed.epsilon, steps=100, multi_targeted=True, n_classes=NUM_CLASSES),
    )
    for attack in attacks:
        rows = withstands.nonzero()[:, 0]
        if len(rows):
            perturbed = attack(pictures[rows], labels[rows])
            with torch.no_grad():
                withstands[rows] &= packed(perturbed).argmax(1) == labels[rows]
    return np.asarray(withstands.numpy())


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("kind", THREATS)
def test_no_clip_that_autoattack_breaks_withstands_the_standard_list(kind: str, model: Classifier) -> None:
    """Ours may break more, by its own attacks and by Square: by one clip at most."""
    clips = inside(make_clips(32, seed=5))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        victim = model if kind == "standard" else robust(copy.deepcopy(model))
        mine, yours = (judge(victim, clips, THREATS[kind]) for judge in (ours, theirs))
    assert 0.05 < yours.mean() < 0.95
    assert not (mine & ~yours).any()
    assert (yours & ~mine).sum() <= 1
