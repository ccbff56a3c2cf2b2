from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.training.attacks.linear import LinearClassifier
from tests.training.conftest import random_batch
from training.attacks.engine.randomness import uniform_like
from training.batch import MODALITIES, Batch
from training.models import Classifier, Outputs
from training.objectives import NFGSM
from training.threat import ThreatModel


def inner(batch: Batch) -> Batch:
    """The same clips in [0.3, 0.7], where no box is near."""
    return batch.with_streams(0.3 + 0.4 * batch.video, 0.3 + 0.4 * batch.audio)


def crafted(objective: NFGSM, model: Classifier | LinearClassifier, batch: Batch) -> Batch:
    """What the weights learn from."""
    shown: list[Batch] = []

    def look(video: Tensor, audio: Tensor) -> Outputs:
        shown.append(batch.with_streams(video, audio))
        outputs: Outputs = model(video, audio)
        return outputs

    generator = torch.Generator().manual_seed(0)
    objective.prepare(model, batch, progress=0.0, generator=generator)(look)
    return shown[0]


@pytest.mark.parametrize(("noise", "step_size"), [(2.0, 1.0), (0.5, 1.25)])
def test_the_change_is_noise_of_k_epsilon_and_a_step_of_alpha_epsilon(noise: float, step_size: float) -> None:
    """A linear model's gradient has one sign everywhere: label 0 has logit s, so the step is against the weights."""
    model, batch = LinearClassifier(), inner(random_batch(3))
    batch = Batch(batch.video, batch.audio, torch.zeros(3, dtype=torch.long), batch.keys)
    objective = NFGSM(noise=noise, step_size=step_size, threat=ThreatModel(video=0.03, audio=0.01))
    found = crafted(objective, model, batch)
    for name, weight in zip(MODALITIES, (model.video, model.audio), strict=True):
        epsilon = objective.threat.epsilon(name)
        change = found.stream(name) - batch.stream(name)
        step = -step_size * epsilon * weight.detach().sign().reshape(change.shape[1:])
        expected = noise * epsilon * uniform_like(change, batch.keys, torch.Generator().manual_seed(0), f"{name} start")
        torch.testing.assert_close(change - step, expected, atol=1e-6, rtol=0)


def test_it_leaves_the_ball_on_purpose(model: Classifier, batch: Batch) -> None:
    """Noise of 2 epsilon and a step of 1 epsilon: some value is nearly 3 epsilon away, most are outside the ball."""
    objective = NFGSM(threat=ThreatModel(video=0.03, audio=0.03))
    change = (crafted(objective, model, inner(batch)).video - inner(batch).video).abs()
    assert 2.9 * 0.03 < float(change.max()) <= 3 * 0.03 + 1e-6
    assert float((change > 0.03).float().mean()) > 0.4


def test_it_stays_in_the_box(model: Classifier, batch: Batch) -> None:
    found = crafted(NFGSM(threat=ThreatModel(video=0.3, audio=0.3)), model, batch)
    for stream in (found.video, found.audio):
        assert (float(stream.min()), float(stream.max())) == (0.0, 1.0)


def test_l2_noise_and_step_have_the_lengths_of_their_shares(batch: Batch) -> None:
    """2 epsilon of noise and a step of 1 epsilon, at nearly a right angle in so many dimensions: sqrt 5 epsilon."""
    objective = NFGSM(threat=ThreatModel(norm="l2", video=0.3, audio=0.3))
    lengths = objective.threat.distances(crafted(objective, LinearClassifier(), two_classes(batch)), two_classes(batch))
    for length in lengths.values():
        torch.testing.assert_close(length / 0.3, torch.full((7,), 5**0.5), atol=0.2, rtol=0)


def two_classes(batch: Batch) -> Batch:
    return Batch(inner(batch).video, inner(batch).audio, batch.labels % 2, batch.keys)
