from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from tests.training.attacks.linear import LinearClassifier
from tests.training.attacks.trained import trained
from training.attacks import MIFGSM, PAM
from training.attacks.engine.gradients import Streams
from training.batch import MODALITIES, Batch
from training.models import Classifier, Outputs
from training.threat import ThreatModel

COLOURS = [
    [0.0, 0.0, 0.0],
    [0.5, 0.5, 0.5],
    [1.0, 1.0, 1.0],
    [0.5, 0.5, 0.0],
    [1.0, 1.0, 0.5],
    [1.0, 0.5, 1.0],
    [0.5, 1.0, 1.0],
    [0.0, 0.5, 0.5],
]


def test_without_scales_it_is_mifgsm_bit_for_bit(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    one, other = (attack(model, batch, ThreatModel(), generator) for attack in (PAM(num_scales=0), MIFGSM()))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_the_published_setting_costs_33_passes_a_step() -> None:
    assert PAM(steps=10).cost.forward == 330


def test_there_are_no_more_baselines_than_colours() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 8"):
        PAM(num_baselines=9)


def summed_loss(model: Classifier, clips: Streams, colours: list[list[float]], labels: Tensor) -> Tensor:
    """J(x) + sum_j sum_i J(2^-i x + (1 - 2^-i) b_j), as autograd may differentiate it through the interpolation."""
    total = nn.functional.cross_entropy(model(**clips).logits, labels, reduction="sum")
    for red, green, blue in colours:
        frame = clips["video"].new_tensor([red, green, blue]).view(3, 1, 1)
        levels = [red] * 6 + [green] * 5 + [blue] * 5
        patch = clips["audio"].new_tensor(levels).view(16, 1)
        for scale in (1, 2):
            keep = 0.5**scale
            copies = model(
                keep * clips["video"] + (1 - keep) * frame,
                keep * clips["audio"] + (1 - keep) * patch,
            )
            total = total + nn.functional.cross_entropy(copies.logits, labels, reduction="sum")
    return total


@pytest.mark.parametrize("num_baselines", [1, 8], ids=["scale-invariant", "every colour"])
def test_steps_follow_the_published_recursion(
    num_baselines: int, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """m = mu m + g / mean|g|, x = P(x + alpha sign m), g of the summed loss, for both modalities.

    Black and silence alone are the scale-invariant method: g(x) and the gradients of J(x / 2^i).
    """
    steps, momentum = 2, 0.7
    threat = ThreatModel(video=0.05, audio=0.03)
    clips = batch.with_streams(batch.video.double(), batch.audio.double()).select(torch.arange(3))
    attack = PAM(steps=steps, momentum=momentum, num_baselines=num_baselines, num_scales=2)
    found = attack(model.double(), clips, threat, generator)
    model.eval()
    here = {name: clips.stream(name) for name in MODALITIES}
    velocity = {name: torch.zeros_like(stream) for name, stream in here.items()}
    for _ in range(steps):
        detached_inputs = {name: stream.detach().requires_grad_() for name, stream in here.items()}
        loss = summed_loss(model, detached_inputs, COLOURS[:num_baselines], clips.labels)
        for name, gradient in zip(MODALITIES, torch.autograd.grad(loss, list(detached_inputs.values())), strict=True):
            size = gradient.abs().flatten(1).mean(1).view(-1, *[1] * (gradient.dim() - 1))
            velocity[name] = momentum * velocity[name] + gradient / size
            clean, epsilon = clips.stream(name), threat.epsilon(name)
            moved = here[name] + epsilon / steps * velocity[name].sign()
            here[name] = moved.clamp(clean - epsilon, clean + epsilon).clamp(0, 1)
    for name in MODALITIES:
        assert torch.allclose(found.stream(name), here[name], atol=1e-12)


class Asked(LinearClassifier):
    """Remembers the clips that the model was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        self.seen.append((video.detach(), audio.detach()))
        return super().forward(video, audio)


def test_a_path_moves_frames_and_waveform_together_and_only_where_allowed(generator: torch.Generator) -> None:
    """Half-way to white, and to noise as loud as the clip: segment 3 alone is on the path."""
    source = torch.Generator().manual_seed(6)
    audio = 0.2 * torch.rand(2, 4, 256, generator=source) - 0.1
    clips = Batch(torch.rand(2, 4, 3, 16, 16, generator=source), audio, torch.tensor([0, 1]), ("a", "b"))
    model = Asked()
    threat = ThreatModel.model_validate("linf(video=4/255, waveform=0.002, segments=3)")
    PAM(steps=1, num_baselines=3, num_scales=1)(model, clips, threat, generator)
    video, sound = model.seen[3]
    assert torch.equal(video[:, :3], clips.video[:, :3])
    assert torch.equal(sound[:, :3], clips.audio[:, :3])
    assert torch.allclose(video[:, 3], 0.5 * clips.video[:, 3] + 0.5)
    noise = 2.0 * sound[:, 3] - clips.audio[:, 3]
    assert torch.allclose(noise.std(), clips.audio.std(), rtol=0.3)
    assert sound[0, 3].sub(sound[1, 3]).abs().max() > 0.01  # each clip has its own


def test_it_fools_its_own_model_and_a_stranger_more_than_noise_does() -> None:
    own, others = trained().under(PAM(steps=3, num_baselines=4, num_scales=1))
    assert min(trained().under_noise()) > 0.95
    assert own < 0.1
    assert others < 0.9
