from __future__ import annotations

import torch

from training.attacks import FGSM, IFGSM, PGD
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel


def test_every_free_value_moves_by_epsilon(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    threat = ThreatModel(video=4 / 255, audio=4 / 255)
    inside = batch.with_streams(batch.video * 0.5 + 0.25, batch.audio * 0.5 + 0.25)
    moved = (FGSM()(model, inside, threat, generator).video - inside.video).abs()
    assert torch.isclose(moved, torch.tensor(4 / 255), atol=1e-6).float().mean() > 0.99


def test_it_is_ifgsm_with_one_step(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    one, other = (attack(model, batch, ThreatModel(), generator) for attack in (FGSM(), IFGSM(steps=1)))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_it_is_pgd_from_the_clean_clip_with_steps_of_epsilon_over_k(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    pgd = PGD(steps=4, step_size=0.25, random_start=False)
    one, other = (attack(model, batch, ThreatModel(), generator) for attack in (IFGSM(steps=4), pgd))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)
