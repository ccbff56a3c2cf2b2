from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.training.attacks.linear import LinearClassifier
from tests.training.attacks.trained import trained
from training.attacks import MIFGSM, MIG
from training.attacks.engine.losses import attack_loss, slope_at_logits
from training.attacks.mig import path_gradient
from training.batch import MODALITIES, Batch
from training.models import Classifier
from training.threat import ThreatModel


def doubled(batch: Batch) -> Batch:
    """Three clips in double precision."""
    return batch.with_streams(batch.video.double(), batch.audio.double()).select(torch.arange(3))


def probability(model: Classifier, video: Tensor, audio: Tensor, labels: Tensor) -> Tensor:
    """p_y per clip."""
    shares: Tensor = model(video, audio).logits.softmax(1)
    return shares.gather(1, labels[:, None])[:, 0]


def test_the_probability_is_what_falls_and_a_targets_is_what_rises() -> None:
    """Logits 0 and log 3: p = 1/4 and 3/4, with the slope -p_0 (e_0 - p) = (-3/16, 3/16) for label 0."""
    clips = Batch(torch.zeros(1, 1, 3, 1, 1), torch.zeros(1, 1, 1, 1), torch.tensor([0]), ("clip",))
    logits = torch.tensor([[0.0, math.log(3.0)]], dtype=torch.float64)
    assert attack_loss(logits, clips, "probability").tolist() == pytest.approx([-0.25])
    slope, log_scale = slope_at_logits(logits, clips, "probability")
    assert (slope * log_scale.exp()).tolist()[0] == pytest.approx([-3 / 16, 3 / 16])
    aimed = clips.with_targets(torch.tensor([1]))
    assert attack_loss(logits, aimed, "probability").tolist() == pytest.approx([0.75])
    slope, log_scale = slope_at_logits(logits, aimed, "probability")
    assert (slope * log_scale.exp()).tolist()[0] == pytest.approx([-3 / 16, 3 / 16])


def test_a_path_of_one_point_without_the_factor_is_mifgsm_bit_for_bit(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """Also MI-FGSM on the cross-entropy: the probability's gradient has the same direction."""
    one, other = (
        attack(model, batch, ThreatModel(), generator)
        for attack in (MIG(num_points=1, attribution="path_average"), MIFGSM())
    )
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_steps_follow_the_published_recursion(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    """IG = x 1/s sum_i grad p_y(i/s x), m = mu m + IG / mean|IG|, x = P(x - alpha sign m), for both modalities."""
    steps, points, momentum = 3, 4, 0.7
    threat, clips = ThreatModel(video=0.05, audio=0.03), doubled(batch)
    found = MIG(steps=steps, num_points=points, momentum=momentum)(model.double(), clips, threat, generator)
    model.eval()
    here = {name: clips.stream(name) for name in MODALITIES}
    velocity = {name: torch.zeros_like(stream) for name, stream in here.items()}
    for _ in range(steps):
        total = {name: torch.zeros_like(stream) for name, stream in here.items()}
        for number in range(1, points + 1):
            detached_inputs = {name: (number / points * stream).requires_grad_() for name, stream in here.items()}
            score = probability(model, **detached_inputs, labels=clips.labels).sum()
            for name, gradient in zip(
                MODALITIES, torch.autograd.grad(score, list(detached_inputs.values())), strict=True
            ):
                total[name] = total[name] + gradient
        for name in MODALITIES:
            contributions = here[name] * total[name] / points
            size = contributions.abs().flatten(1).mean(1).view(-1, *[1] * (contributions.dim() - 1))
            velocity[name] = momentum * velocity[name] + contributions / size
            clean, epsilon = clips.stream(name), threat.epsilon(name)
            moved = here[name] - epsilon / steps * velocity[name].sign()
            here[name] = moved.clamp(clean - epsilon, clean + epsilon).clamp(0, 1)
    for name in MODALITIES:
        assert torch.allclose(found.stream(name), here[name], atol=1e-12)


@pytest.mark.parametrize("text", ["linf(video=0.1, audio=0.1)", "linf(video=0.1)", "linf(audio=0.1, segments=1-2)"])
def test_contributions_sum_to_what_the_clip_has_over_its_baseline(text: str, model: Classifier, batch: Batch) -> None:
    """Completeness (arXiv:1703.01365, Proposition 1): sum IG = p_y(x) - p_y(b), here of -p_y.

    The right Riemann sum of s points is off by (f'(1) - f'(0)) / (2 s), so twice the points halve the error.
    """
    threat, clips = ThreatModel.model_validate(text), doubled(batch)
    model.double().eval()
    baseline = {
        name: torch.where(threat.support(clips.stream(name)) & (threat.epsilon(name) > 0), 0.0, clips.stream(name))
        for name in MODALITIES
    }
    with torch.no_grad():
        expected = probability(model, **baseline, labels=clips.labels)
        expected -= probability(model, clips.video, clips.audio, clips.labels)
    errors = []
    for points in (16, 32):
        found = path_gradient(points, "integrated", threat)(model, clips, threat.modalities)
        sums = torch.stack([stream.flatten(1).sum(1) for stream in found.streams.values()]).sum(0)
        errors.append(sums * found.log_scale.exp() - expected)
    assert errors[1].abs().max() < 0.1 * expected.abs().max()
    assert torch.allclose(errors[0], 2.0 * errors[1], atol=0.2 * float(errors[0].abs().max()))


def test_contributions_of_a_waveform_are_counted_from_its_lowest_value() -> None:
    """A linear score of signed samples: (x + 1) w has the sign of w everywhere, x w only where x > 0."""
    model = LinearClassifier()
    source = torch.Generator().manual_seed(3)
    audio = torch.rand(2, 4, 256, generator=source) * 1.8 - 0.9
    clips = Batch(torch.rand(2, 4, 3, 16, 16, generator=source), audio, torch.tensor([0, 0]), ("a", "b"))
    threat = ThreatModel.model_validate("linf(waveform=0.01)")
    found = path_gradient(4, "integrated", threat)(model, clips, threat.modalities).streams["audio"]
    assert torch.equal(found.sign(), -model.audio.detach().sign().view(1, 4, 256).expand(2, -1, -1))


def test_a_value_at_the_baseline_contributes_nothing_and_moves_only_with_the_path_average(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    threat = ThreatModel(video=0.05, audio=0.05)
    is_black = batch.video == 0.0
    integrated, average = (
        MIG(steps=3, num_points=3, attribution=attribution)(model, batch, threat, generator).video
        for attribution in ("integrated", "path_average")
    )
    assert is_black.any()
    assert (integrated[is_black] == 0.0).all()
    assert (average[is_black] > 0.0).float().mean() > 0.3


def test_it_fools_its_own_model_and_a_stranger_more_than_noise_does() -> None:
    own, others = trained().under(MIG(steps=4, num_points=3))
    assert min(trained().under_noise()) > 0.95
    assert own < 0.1
    assert others < 0.9
