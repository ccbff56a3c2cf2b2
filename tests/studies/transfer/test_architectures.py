from __future__ import annotations

from typing import get_args

import pytest
import torch

from studies.transfer.architectures import ArchitectureName, build
from training.attacks import TMA
from training.batch import Batch
from training.threat import ThreatModel

BATCH = Batch(torch.rand(2, 4, 3, 16, 16), torch.rand(2, 4, 16, 12), torch.tensor([0, 1]), ("a", "b"))


@pytest.mark.parametrize("name", get_args(ArchitectureName))
def test_scores_come_from_the_features_of_every_segment(name: ArchitectureName) -> None:
    """TMA needs them, and refuses a model whose scores do not come from them."""
    model = build(name, 3).eval()
    outputs = model(BATCH.video, BATCH.audio)
    assert outputs.logits.shape == (2, 3)
    assert outputs.video_features is not None
    assert outputs.audio_features is not None
    assert outputs.video_features.shape == outputs.audio_features.shape == (2, 4, 64)
    perturbed = TMA(steps=2)(model, BATCH, ThreatModel(), torch.Generator().manual_seed(0))
    assert not torch.equal(perturbed.video, BATCH.video)
    assert not torch.equal(perturbed.audio, BATCH.audio)
