from __future__ import annotations

import torch

from training.attacks import MMA, TIA, TMA
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel

THREAT = ThreatModel(video=8 / 255, audio=8 / 255)


def test_one_weight_alone_is_the_attack_of_that_term(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    for union, single in (
        (TMA(temporal_weight=0.2, modality_weight=0.0), TIA(temporal_weight=0.2)),
        (TMA(temporal_weight=0.0, modality_weight=0.4), MMA(modality_weight=0.4)),
    ):
        assert torch.equal(union(model, batch, THREAT, generator).video, single(model, batch, THREAT, generator).video)
