from __future__ import annotations

import pytest
import torch

from tests.training.objectives.table import run, shown
from training.batch import Batch
from training.models import Classifier
from training.objectives import Standard


def test_the_weights_learn_from_the_clean_clips(model: Classifier, batch: Batch) -> None:
    (clips,) = shown(Standard(), model, batch)
    assert torch.equal(clips.video, batch.video)
    assert torch.equal(clips.audio, batch.audio)


def test_the_loss_is_the_mean_cross_entropy(model: Classifier, batch: Batch) -> None:
    """The mean of -log p(label)."""
    model.eval()
    (total,) = run(Standard(), model, batch)
    with torch.no_grad():
        chances = model(batch.video, batch.audio).logits.softmax(1).gather(1, batch.labels[:, None])
    assert float(total) == pytest.approx(float(-chances.log().mean()), rel=1e-5)
