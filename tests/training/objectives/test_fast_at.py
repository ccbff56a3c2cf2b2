from __future__ import annotations

import pytest
import torch

from tests.training.attacks.linear import LinearClassifier, interior
from tests.training.objectives.table import shown
from training.batch import Batch
from training.objectives import FastAT
from training.threat import ThreatModel


@pytest.mark.parametrize("step_size", [1.25, 0.5])
def test_on_a_linear_model_one_step_follows_a_random_start(step_size: float, batch: Batch) -> None:
    """From u in [-1, 1] to min(u + alpha, 1) epsilons along the gradient: at alpha = 1.25 none is left below 0.25."""
    model, clips = LinearClassifier(), interior(batch)
    threat = ThreatModel(video=0.05, audio=0.02)
    (perturbed,) = shown(FastAT(threat=threat, step_size=step_size), model, clips)
    for moved, clean, weight, epsilon in (
        (perturbed.video, clips.video, model.video, 0.05),
        (perturbed.audio, clips.audio, model.audio, 0.02),
    ):
        along = ((moved - clean).flatten(1) * -weight.sign() / epsilon).detach()
        assert along.min() == pytest.approx(step_size - 1, abs=0.02)
        assert along.max() == pytest.approx(1.0, abs=1e-4)
        share_at_the_border = (along > 1 - 1e-4).float().mean()
        assert float(share_at_the_border) == pytest.approx(step_size / 2, abs=0.02)  # of u above 1 - alpha
        assert torch.isfinite(along).all()
