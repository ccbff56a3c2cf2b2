from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from tests.training.attacks.trained import trained
from training.attacks import MIFGSM, TT
from training.attacks.tt import ShiftWeights
from training.batch import MODALITIES, Batch
from training.models import Classifier, Outputs
from training.threat import ThreatModel

THREAT = ThreatModel(video=0.05, audio=0.03)


class Ordered(nn.Module):
    """Scores segments by what they show and when: each place has its own weights."""

    def __init__(self, classifier: Classifier, places: tuple[int, ...] = (0, 1, 2, 3)) -> None:
        super().__init__()
        self.classifier = classifier.double()
        source = torch.Generator().manual_seed(7)
        self.weights = torch.randn(4, 2 * 16, 4, generator=source, dtype=torch.float64)
        self.weights[[place for place in range(4) if place not in places]] = 0.0

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        outputs = self.classifier(video, audio)
        features = torch.cat([outputs.video_features, outputs.audio_features], dim=2).tanh()
        return Outputs(torch.einsum("btf,tfk->bk", features, self.weights))


def doubled(batch: Batch) -> Batch:
    """Three clips in double precision."""
    return batch.with_streams(batch.video.double(), batch.audio.double()).select(torch.arange(3))


@pytest.mark.parametrize("momentum_norm", ["per_modality", "per_segment", "joint"])
def test_without_shifts_it_is_mifgsm_bit_for_bit(
    momentum_norm: str, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    one, other = (
        attack(model, batch, ThreatModel(), generator)
        for attack in (
            TT.model_validate({"max_shift": 0, "momentum_norm": momentum_norm}),
            MIFGSM.model_validate({"momentum_norm": momentum_norm}),
        )
    )
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


KERNELS: dict[ShiftWeights, list[float]] = {
    "gaussian": [math.exp(-4.5), math.exp(-1.125), 1.0, math.exp(-1.125), math.exp(-4.5)],
    "linear": [1 / 3, 2 / 3, 1.0, 2 / 3, 1 / 3],
    "uniform": [1.0, 1.0, 1.0, 1.0, 1.0],
}


@pytest.mark.parametrize("kind", KERNELS)
def test_steps_follow_the_published_recursion(
    kind: ShiftWeights, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """g differentiates sum_d W_d J(shift_d(x)) at x, each frame's g is divided by its own mean size, m = mu m + g.

    Shifts of -2 to 2, Gaussian weights with sigma 2/3: exp(-d^2 / 2 * 9/4), which is exp(-9/8) and exp(-9/2).
    """
    steps, momentum = 3, 0.7
    ordered, clips = Ordered(model).eval(), doubled(batch)
    attack = TT(steps=steps, momentum=momentum, max_shift=2, weights=kind, momentum_norm="per_segment")
    found = attack(ordered, clips, THREAT, generator)
    here = {name: clips.stream(name) for name in MODALITIES}
    velocity = {name: torch.zeros_like(stream) for name, stream in here.items()}
    for _ in range(steps):
        detached_inputs = {name: stream.detach().requires_grad_() for name, stream in here.items()}
        loss = torch.zeros((), dtype=torch.float64)
        for shift, weight in zip(range(-2, 3), KERNELS[kind], strict=True):
            order = [(place - shift) % 4 for place in range(4)]
            logits = ordered(**{name: leaf[:, order] for name, leaf in detached_inputs.items()}).logits
            loss = loss + weight * nn.functional.cross_entropy(logits, clips.labels, reduction="sum")
        for name, gradient in zip(MODALITIES, torch.autograd.grad(loss, list(detached_inputs.values())), strict=True):
            size = gradient.abs().flatten(2).mean(2).view(len(clips), 4, *[1] * (gradient.dim() - 2))
            velocity[name] = momentum * velocity[name] + gradient / size
            clean, epsilon = clips.stream(name), THREAT.epsilon(name)
            moved = here[name] + epsilon / steps * velocity[name].sign()
            here[name] = moved.clamp(clean - epsilon, clean + epsilon).clamp(0, 1)
    for name in MODALITIES:
        assert torch.allclose(found.stream(name), here[name], atol=1e-12)


def moved_segments(perturbed: Batch, clean: Batch) -> list[int]:
    """Segments of which any value of either modality has moved."""
    deltas = [(perturbed.stream(name) - clean.stream(name)).abs().flatten(2).amax((0, 2)) for name in MODALITIES]
    return (deltas[0] + deltas[1]).nonzero()[:, 0].tolist()


def test_segments_move_that_a_shift_brings_to_where_the_model_looks(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """It looks at place 2 alone: with shifts of one segment, 1, 2 and 3 can come there; without shifts 2 alone."""
    ordered, clips = Ordered(model, places=(2,)), doubled(batch)
    for max_shift, expected in ((0, [2]), (1, [1, 2, 3])):
        perturbed = TT(steps=2, max_shift=max_shift, weights="uniform")(ordered, clips, THREAT, generator)
        assert moved_segments(perturbed, clips) == expected


def test_what_shifted_copies_show_elsewhere_does_not_leak_into_a_protected_clip(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """The model looks at place 2 and segment 2 alone may move: copies shifted away from there have no say."""
    ordered, clips = Ordered(model, places=(2,)), doubled(batch)
    threat = ThreatModel.model_validate("linf(video=0.05, audio=0.03, segments=2)")
    one, other = (
        attack(ordered, clips, threat, generator) for attack in (TT(steps=3, weights="uniform"), MIFGSM(steps=3))
    )
    assert moved_segments(one, clips) == [2]
    assert torch.allclose(one.video, other.video, atol=1e-12)


def test_a_model_blind_to_the_order_gets_mifgsms_perturbation(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    clips = doubled(batch)
    one, other = (attack(model.double(), clips, THREAT, generator) for attack in (TT(steps=3), MIFGSM(steps=3)))
    assert torch.allclose(one.video, other.video, atol=1e-12)
    assert torch.allclose(one.audio, other.audio, atol=1e-12)


def test_it_fools_its_own_model_and_a_stranger_more_than_noise_does() -> None:
    own, others = trained().under(TT(steps=4, max_shift=1))
    assert min(trained().under_noise()) > 0.95
    assert own < 0.1
    assert others < 0.9
