from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.batch import Batch
from training.models import Classifier, Outputs
from training.objectives import MinSim, Standard


def test_the_penalty_is_the_cosine_of_the_clip_features(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """Segment features (1, 0), (1, 2) have the mean (1, 1); against (1, 0) it has the cosine 1 / sqrt 2."""

    def answers(video: Tensor, audio: Tensor) -> Outputs:
        seen = torch.tensor([[1.0, 0.0], [1.0, 2.0]]).expand(len(video), 2, 2)
        heard = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).expand(len(video), 2, 2)
        return Outputs(torch.zeros(len(video), 4), video_features=seen, audio_features=heard)

    loss = MinSim(similarity_weight=2.0).prepare(model, batch, progress=0.0, generator=generator)(answers)
    assert float(loss.parts["similarity"]) == pytest.approx(0.5**0.5)
    assert float(loss.total) == pytest.approx(torch.tensor(4.0).log() + 2 * 0.5**0.5)


def test_training_with_it_keeps_the_modalities_apart(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    similarities = []
    for _ in range(15):
        loss = MinSim().prepare(model, batch, progress=0.0, generator=generator)(model)
        optimizer.zero_grad()
        torch.autograd.backward(loss.total)
        optimizer.step()
        similarities.append(float(loss.parts["similarity"]))
    assert similarities[-1] < similarities[0] - 0.1


def test_without_weight_it_is_standard_training(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    totals = [
        objective.prepare(model, batch, progress=0.0, generator=generator)(model).total
        for objective in (MinSim(similarity_weight=0.0), Standard())
    ]
    torch.testing.assert_close(*totals)


def test_a_classifier_without_features_is_refused(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match="minsim compares the features of both modalities"):
        MinSim().prepare(model, batch, progress=0.0, generator=generator)(
            lambda video, audio: Outputs(model(video, audio).logits)
        )
