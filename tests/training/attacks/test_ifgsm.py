from __future__ import annotations

import torch

from training.attacks import IFGSM, PGD
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel


def test_it_is_pgd_from_the_clean_clip_with_steps_of_epsilon_over_k(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    pgd = PGD(steps=4, step_size=0.25, random_start=False)
    one, other = (attack(model, batch, ThreatModel(), generator) for attack in (IFGSM(steps=4), pgd))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)
