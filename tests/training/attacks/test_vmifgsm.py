from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from tests.training.attacks.linear import LinearClassifier
from tests.training.attacks.trained import trained
from training.attacks import MIFGSM, VMIFGSM
from training.attacks.engine.gradients import Streams
from training.attacks.engine.randomness import uniform_like
from training.batch import MODALITIES, Batch
from training.models import Classifier
from training.threat import ThreatModel


def test_without_neighbours_it_is_mifgsm_bit_for_bit(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    one, other = (attack(model, batch, ThreatModel(), generator) for attack in (VMIFGSM(num_neighbours=0), MIFGSM()))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_the_first_step_has_no_variance_yet_and_is_mifgsms_bit_for_bit(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    one, other = (attack(model, batch, ThreatModel(), generator) for attack in (VMIFGSM(steps=1), MIFGSM(steps=1)))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_where_the_gradient_is_the_same_everywhere_it_is_mifgsm(batch: Batch, generator: torch.Generator) -> None:
    """The margin of a linear model (of two classes) has no variance, whatever the neighbours are."""
    clips = replace(batch, labels=batch.labels % 2)
    one, other = (
        attack(LinearClassifier(), clips, ThreatModel(), generator)
        for attack in (VMIFGSM(steps=4, num_neighbours=3, loss="margin"), MIFGSM(steps=4, loss="margin"))
    )
    assert torch.allclose(one.video, other.video, atol=1e-6)
    assert torch.allclose(one.audio, other.audio, atol=1e-6)


def gradients(model: Classifier, streams: Streams, labels: Tensor) -> Sequence[Tensor]:
    """What autograd makes of the summed cross-entropy, frames first."""
    detached_inputs = {name: stream.detach().requires_grad_() for name, stream in streams.items()}
    loss = nn.functional.cross_entropy(model(**detached_inputs).logits, labels, reduction="sum")
    return torch.autograd.grad(loss, list(detached_inputs.values()))


def test_steps_follow_the_published_recursion(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    """m = mu m + (g + v) / mean|g + v|, x = P(x + alpha sign m), then v = mean_j g(x + r_j) - g(x) at the old x."""
    steps, momentum, count, radius = 3, 0.7, 4, 1.5
    threat = ThreatModel(video=0.05, audio=0.03)
    clips = batch.with_streams(batch.video.double(), batch.audio.double()).select(torch.arange(3))
    attack = VMIFGSM(steps=steps, momentum=momentum, num_neighbours=count, radius=radius)
    found = attack(model.double(), clips, threat, generator)
    model.eval()
    here = {name: clips.stream(name) for name in MODALITIES}
    velocity, variance = ([torch.zeros_like(stream) for stream in here.values()] for _ in range(2))
    for step in range(steps):
        plain = gradients(model, here, clips.labels)
        total = [torch.zeros_like(stream) for stream in plain]
        for number in range(count):
            near: Streams = {}
            for name, stream in here.items():
                noise = uniform_like(stream, clips.keys, generator, f"{name} neighbour {step + 1}.{number}")
                near[name] = stream + radius * threat.epsilon(name) * noise
            total = [one + other for one, other in zip(total, gradients(model, near, clips.labels), strict=True)]
        for place, name in enumerate(MODALITIES):
            tuned = plain[place] + variance[place]
            size = tuned.abs().flatten(1).mean(1).view(-1, *[1] * (tuned.dim() - 1))
            velocity[place] = momentum * velocity[place] + tuned / size
            clean, epsilon = clips.stream(name), threat.epsilon(name)
            moved = here[name] + epsilon / steps * velocity[place].sign()
            here[name] = moved.clamp(clean - epsilon, clean + epsilon).clamp(0, 1)
        variance = [one / count - other for one, other in zip(total, plain, strict=True)]
    for name in MODALITIES:
        assert torch.allclose(found.stream(name), here[name], atol=1e-12)


class Asked(nn.Module):
    """Remembers the frames that the model was asked about."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.frames: list[Tensor] = []

    def forward(self, video: Tensor, audio: Tensor) -> object:
        self.frames.append(video.detach())
        return self.classifier(video, audio)


def test_l2_neighbours_are_as_far_away_as_the_radius_says_and_where_a_change_is_allowed(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """Point, its two neighbours, next point: those two are 1.5 x 0.4 = 0.6 from the clean clip, in segment 2 alone."""
    asked = Asked(model)
    threat = ThreatModel.model_validate("l2(video=0.4, audio=0.2, segments=2)")
    VMIFGSM(steps=2, num_neighbours=2)(asked, batch, threat, generator)
    first, *neighbours, last = asked.frames
    assert torch.equal(first, batch.video)
    assert len(neighbours) == 2
    for frames in neighbours:
        assert torch.allclose((frames - first).flatten(1).norm(dim=1), torch.tensor(0.6))
        assert torch.equal(frames[:, [0, 1, 3]], first[:, [0, 1, 3]])
    assert not torch.allclose(neighbours[0], neighbours[1])
    assert torch.allclose((last - first).flatten(1).norm(dim=1), torch.tensor(0.2), atol=0.05)


def test_it_fools_its_own_model_and_a_stranger_more_than_noise_does() -> None:
    own, others = trained().under(VMIFGSM(steps=4, num_neighbours=2))
    assert min(trained().under_noise()) > 0.95
    assert own < 0.1
    assert others < 0.9
