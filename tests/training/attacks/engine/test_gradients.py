from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from training.attacks import PGD
from training.attacks.engine.gradients import (
    Gradient,
    classification_gradient,
    count_unusable_gradients,
    direction,
    normalised_or_noise,
)
from training.batch import MODALITIES, Batch
from training.models import Classifier, Outputs
from training.threat import ThreatModel


def gradient_of(stream: Tensor, log_scale: float = 0.0) -> Gradient:
    """The same stream for both modalities of one clip."""
    return Gradient({"video": stream, "audio": stream.clone()}, torch.tensor([log_scale]))


def test_gradients_in_scales_that_no_number_holds_are_added_exactly() -> None:
    """3 e^-500 + 2 x 5 e^-501 = (3 + 10 / e) e^-500, though e^-500 is zero even in double precision."""
    found = gradient_of(torch.tensor([[3.0]]), -500.0).plus(gradient_of(torch.tensor([[5.0]]), -501.0), weight=2.0)
    assert float(found.log_scale) == -500.0
    assert float(found.streams["video"]) == pytest.approx(3.0 + 10.0 / math.e)


def confident(model: Classifier, batch: Batch) -> Batch:
    """The clips as the model sees them, after its scores were made so large that p_y is about 1 - 1e-9."""
    labels = model.eval()(batch.video, batch.audio).logits.argmax(1)
    with torch.no_grad():
        scores = model(batch.video, batch.audio).logits
        lead = (scores.topk(2, dim=1).values.diff(dim=1).abs()).min()
        for parameter in list(model.fusion.parameters())[-2:]:
            parameter.mul_(20.0 / lead)
    return Batch(batch.video, batch.audio, labels, batch.keys)


@pytest.mark.parametrize(("dtype", "agreement"), [(torch.float16, 0.98), (torch.bfloat16, 0.90)], ids=str)
def test_half_precision_loses_no_gradient_of_confident_clips(
    dtype: torch.dtype, agreement: float, model: Classifier, batch: Batch
) -> None:
    """Signs must agree with those of double precision.

    A cross-entropy differentiated as it stands loses them all in float16, where 1 - p_y of about 1e-9 is zero; bfloat16
    holds it, and rounds more.
    """
    clips = confident(model, batch)
    with torch.autocast("cpu", dtype=dtype):
        found = classification_gradient()(model, clips, MODALITIES).streams
        leaf = clips.video.clone().requires_grad_()
        plain = nn.functional.cross_entropy(model(leaf, clips.audio).logits.to(dtype), clips.labels, reduction="sum")
        (lost,) = torch.autograd.grad(plain, leaf)
    exact_clips = Batch(clips.video.double(), clips.audio.double(), clips.labels, clips.keys)
    exact = classification_gradient()(model.double(), exact_clips, MODALITIES).streams
    assert (lost.count_nonzero() == 0) == (dtype == torch.float16)
    for name in MODALITIES:
        assert found[name].dtype == torch.float32
        assert (found[name] == 0).float().mean() < 1e-3
        assert (found[name].sign() == exact[name].sign()).float().mean() > agreement


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_an_attack_inside_autocast_fools_as_many_clips_as_in_single_precision(
    dtype: torch.dtype, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    clips = confident(model, batch)
    threat = ThreatModel(video=16 / 255, audio=16 / 255)
    fooled = []
    for is_half in (False, True):
        with torch.autocast("cpu", dtype=dtype, enabled=is_half):
            perturbed = PGD()(model, clips, threat, generator)
        with torch.no_grad():
            fooled.append(int((model(perturbed.video, perturbed.audio).logits.argmax(1) != clips.labels).sum()))
    assert fooled[0] > 0
    assert abs(fooled[0] - fooled[1]) <= 1


def test_tiny_gradients_keep_their_direction_and_huge_ones_their_finiteness(
    batch: Batch, generator: torch.Generator
) -> None:
    """Their squares would under- or overflow: 1e-30 and 1e30 in single precision."""
    for size in (1e-30, 1e30):
        raw = Gradient({"video": batch.video * size, "audio": batch.audio * size}, torch.zeros(7))
        found = normalised_or_noise(raw, batch, ThreatModel(norm="l2"), generator, "test").streams
        for name in MODALITIES:
            step = direction(found[name], ThreatModel(norm="l2"))
            assert torch.allclose(step.flatten(1).norm(dim=1), torch.ones(7))
            along = torch.nn.functional.cosine_similarity(step.flatten(1), batch.stream(name).flatten(1))
            assert torch.allclose(along, torch.ones(7))


def test_gradients_without_information_are_counted_and_replaced_by_each_clip_s_noise(
    batch: Batch, generator: torch.Generator
) -> None:
    video, audio = batch.video.clone(), batch.audio.clone()
    video[2] = 0.0
    audio[4] = torch.nan
    with count_unusable_gradients() as found:
        streams = normalised_or_noise(
            Gradient({"video": video, "audio": audio}, torch.zeros(7)), batch, ThreatModel(), generator, "test"
        ).streams
    assert (found.unusable.total(), found.seen.total()) == (2, 14)
    assert found.share == pytest.approx(1 / 7)
    assert streams["video"][2].abs().amax() == 1
    assert streams["audio"][4].isfinite().all()
    assert torch.equal(streams["video"][3], video[3] / video[3].amax())


def test_a_modality_that_the_logits_do_not_reach_has_gradient_zero(batch: Batch) -> None:
    class Blind(nn.Module):
        def forward(self, video: Tensor, audio: Tensor) -> Outputs:
            return Outputs(audio.flatten(1)[:, :4])

    streams = classification_gradient()(Blind(), batch, MODALITIES).streams
    assert streams["video"].count_nonzero() == 0
    assert streams["audio"].count_nonzero() > 0


def test_logits_without_a_graph_give_gradient_zero(batch: Batch) -> None:
    class Rounded(nn.Module):
        def forward(self, video: Tensor, audio: Tensor) -> Outputs:
            return Outputs(audio.detach().flatten(1)[:, :4].round())

    streams = classification_gradient()(Rounded(), batch, MODALITIES).streams
    assert all(stream.count_nonzero() == 0 for stream in streams.values())
