"""The accumulated gradient, and the look ahead along it."""

from __future__ import annotations

import pytest
import torch

from tests.training.attacks.linear import LinearClassifier, interior
from training.attacks import MIFGSM, NIFGSM
from training.attacks.engine.gradients import Streams
from training.attacks.engine.momentum import Momentum, MomentumNorm
from training.batch import Batch
from training.models import Outputs
from training.threat import ThreatModel

FOUND: Streams = {"video": torch.tensor([[[1.0, -3.0], [0.0, 4.0]]]), "audio": torch.tensor([[[2.0], [-2.0]]])}
"""One clip of two segments: mean sizes 2 in the picture (2 and 2 by segment) and 2 in the sound."""


@pytest.fixture(name="interior")
def interior_batch(batch: Batch) -> Batch:
    """Clips so far from 0 and 1 that the box never binds, all of class 0."""
    return interior(batch)


@pytest.mark.parametrize(
    ("norm", "video", "audio"),
    [
        ("per_modality", [[0.5, -1.5], [0.0, 2.0]], [[1.0], [-1.0]]),
        ("per_segment", [[0.5, -1.5], [0.0, 2.0]], [[1.0], [-1.0]]),
        # In epsilons of 0.3 and 0.1: (0.3, 0.9, 0, 1.2, 0.2, 0.2), the mean of which is 2.8 / 6.
        ("joint", [[0.3 / 2.8 * 6, -0.9 / 2.8 * 6], [0.0, 1.2 / 2.8 * 6]], [[0.2 / 2.8 * 6], [-0.2 / 2.8 * 6]]),
    ],
)
def test_a_gradient_is_divided_by_its_mean_size(
    norm: MomentumNorm, video: list[list[float]], audio: list[list[float]]
) -> None:
    momentum = Momentum(decay=0.5, norm=norm, threat=ThreatModel(video=0.3, audio=0.1))
    first = momentum.accumulated({}, FOUND)
    torch.testing.assert_close(first, {"video": torch.tensor([video]), "audio": torch.tensor([audio])})
    second = momentum.accumulated(first, FOUND)
    torch.testing.assert_close(second, {name: 1.5 * stream for name, stream in first.items()})


def test_without_decay_the_last_gradient_counts_as_it_is() -> None:
    assert Momentum(decay=0.0, norm="joint", threat=ThreatModel()).accumulated({}, FOUND) is FOUND


def test_segments_that_may_not_change_do_not_dilute_the_mean() -> None:
    """A picture with a gradient in segment 0 alone: its mean there is 2, over both segments 1."""
    found: Streams = {"video": torch.tensor([[[1.0, -3.0], [0.0, 0.0]]])}
    momentum = Momentum(decay=1.0, norm="per_modality", threat=ThreatModel(segments=(0,)))
    torch.testing.assert_close(momentum.accumulated({}, found)["video"], found["video"] / 2)


class Looking(LinearClassifier):
    """Remembers the frames that it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.video.data = self.video.data.sign() * 0.02  # a gradient of even size
        self.frames: list[torch.Tensor] = []

    def forward(self, video: torch.Tensor, audio: torch.Tensor) -> Outputs:
        self.frames.append(video.detach())
        return super().forward(video, audio)


@pytest.mark.parametrize(
    "text", ["linf(video=0.04)", "linf(video=0.04, segments=1)", "l2(video=0.4)", "l2(video=0.4, segments=1)"]
)
def test_a_look_ahead_reaches_half_as_far_as_a_step_at_half_momentum(
    text: str, interior: Batch, generator: torch.Generator
) -> None:
    """Two steps of epsilon / 2 and mu = 0.5: the second gradient is taken a step and half a step away."""
    model, threat = Looking(), ThreatModel.model_validate(text)
    NIFGSM(steps=2, momentum=0.5)(model, interior, threat, generator)
    distance = threat.length(model.frames[1] - interior.video)
    assert torch.allclose(distance, torch.tensor(0.75 * threat.video), rtol=1e-4)


def test_momentum_per_segment_lets_a_quiet_segment_count_as_much_as_a_loud_one(
    interior: Batch, generator: torch.Generator
) -> None:
    """l2 shows the sizes: weights of segment 0 are 100 times the others', their steps are all as long."""
    model, threat = Looking(), ThreatModel(norm="l2", video=0.4, audio=0.0)
    model.video.data.view(4, -1)[0] *= 100.0
    loud, even = (
        MIFGSM.model_validate({"steps": 1, "momentum_norm": norm})(model, interior, threat, generator).video
        for norm in ("per_modality", "per_segment")
    )
    shares = [(moved - interior.video).flatten(2).norm(dim=2)[0] / 0.4 for moved in (loud, even)]
    assert float(shares[0][0]) > 0.99
    assert torch.allclose(shares[1], torch.full((4,), 0.5), rtol=1e-3)  # four of length 1/2 are one of length 1
