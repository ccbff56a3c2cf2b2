from __future__ import annotations

import pytest
import torch

from tests.training.attacks.linear import LinearClassifier, interior
from tests.training.objectives.table import run
from training.attacks import PGD
from training.batch import Batch
from training.objectives import PGDAT
from training.threat import ThreatModel


def test_on_a_linear_model_the_loss_is_that_of_the_worst_clips(batch: Batch) -> None:
    """Logits (s, -s): the worst s is lower by epsilon ||w||_1 in each modality; it costs log(1 + e^-2s)."""
    model, clips = LinearClassifier(), interior(batch)
    threat = ThreatModel(video=0.003, audio=0.002)
    (total,) = run(PGDAT(attack=PGD(steps=5), threat=threat), model, clips)
    with torch.no_grad():
        scores = model(clips.video, clips.audio).logits[:, 0]
        worst = scores - 0.003 * model.video.abs().sum() - 0.002 * model.audio.abs().sum()
        expected = (1 + (-2 * worst).exp()).log().mean()
    assert float(total) == pytest.approx(float(expected), rel=1e-4)
