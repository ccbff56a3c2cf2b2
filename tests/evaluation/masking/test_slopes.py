"""Alignment: 1 for the loss's own gradient, whatever its scale; near 0, or negative, for any other."""

from __future__ import annotations

import pytest
import torch

from evaluation.masking.slopes import PATH, PROBES, slopes
from tests.evaluation.masking.zoo import HONEST, Wrapped, flat_below, honest, masked, passed_through, random_signs
from training.batch import Batch, Modality
from training.models import Classifier
from training.threat import ThreatModel

THREATS = ("linf(video=7/255, audio=7/255)", "l2(video=1, audio=0.6)", "linf(video=7/255, audio=7/255, segments=1)")


@pytest.mark.parametrize("threat", THREATS)
def test_a_step_along_an_honest_gradient_keeps_its_promise(threat: str, model: Classifier, few_clips: Batch) -> None:
    """Nearly all of it at epsilon / 64, where first order holds, and most of it at epsilon / 8."""
    found = slopes(model, few_clips, ThreatModel.model_validate(threat))
    for each in found.values():
        assert each.alignment.shape == (15, len(PROBES))
        assert (each.alignment[:, ::2] - 1).abs().max() < 0.1
        assert (each.alignment[:, 1::2] - 1).abs().max() < 0.5
        assert torch.allclose(each.rise, each.smoothed_rise, rtol=0.5, atol=0.01)


@pytest.mark.parametrize("name", [name for name in HONEST if name.startswith("logits")])
def test_the_scale_of_the_logits_is_of_no_account(name: str, model: Classifier, few_clips: Batch) -> None:
    threat = ThreatModel.model_validate(THREATS[0])
    plain, scaled = slopes(model, few_clips, threat), slopes(honest(name, model), few_clips, threat)
    names: tuple[Modality, ...] = ("video", "audio")
    for modality in names:
        assert torch.allclose(plain[modality].alignment, scaled[modality].alignment, atol=0.05)
        assert torch.allclose(plain[modality].rise, scaled[modality].rise, rtol=1e-3)


@pytest.mark.parametrize("threat", THREATS)
@pytest.mark.parametrize("name", ["shattered at 137 ripples a level", "random signs of the gradient"])
def test_a_gradient_that_is_not_the_losss_keeps_nothing(
    name: str, threat: str, model: Classifier, few_clips: Batch
) -> None:
    found = slopes(masked(name, model), few_clips, ThreatModel.model_validate(threat))
    for each in found.values():
        assert (each.alignment < 0.25).float().mean() > 0.6


def test_the_length_of_a_gradient_is_of_no_account(model: Classifier, few_clips: Batch) -> None:
    """A million times smaller, of random signs: what it promises is little, and it does not keep that either."""

    def smaller(values: torch.Tensor) -> torch.Tensor:
        found = random_signs(values)
        return found * 1e-6 + (found * (1 - 1e-6)).detach()

    wrapped = Wrapped(model, video=smaller).eval()
    found = slopes(wrapped, few_clips, ThreatModel.model_validate("linf(video=7/255)"))
    assert (found["video"].alignment < 0.25).float().mean() > 0.6


def test_what_arithmetic_cannot_see_is_not_judged(model: Classifier, few_clips: Batch) -> None:
    """Sound that the logits do not hang on: no promise, nothing kept, no number."""
    found = slopes(honest("deaf", model), few_clips, ThreatModel.model_validate(THREATS[0]))
    assert found["audio"].alignment.isnan().all()
    assert found["audio"].columns("audio", 0)["audio_alignment"] == (None,) * 4


def test_a_promise_of_which_nothing_comes_counts_as_broken(model: Classifier, few_clips: Batch) -> None:
    """Everything is white behind a backward pass that pretends it were not."""
    white = Wrapped(model, video=passed_through(torch.ones_like)).eval()
    found = slopes(white, few_clips, ThreatModel.model_validate("linf(video=7/255)"))
    assert (found["video"].alignment == 0).all()


def test_the_gradient_on_the_way_of_an_attack_is_that_of_clips_that_are_still_right(
    model: Classifier, few_clips: Batch
) -> None:
    """Behind a flat strip along the boundary nothing is left at the end; the honest one loses less than half."""
    threat = ThreatModel(video=7 / 255, audio=7 / 255)
    honest_path = slopes(model, few_clips, threat)["video"].path_gradient
    assert honest_path.shape == (15, len(PATH))
    assert honest_path.isnan().any(1).any()  # fooled at the end
    with torch.no_grad():
        is_wrong = model(few_clips.video, few_clips.audio).logits.argmax(1) != few_clips.labels
    assert honest_path[is_wrong].isnan().any()
    is_right = ~honest_path[:, -1].isnan()
    assert (honest_path[is_right, 1:] > 0.5 * honest_path[is_right, :1]).all()
    flat = slopes(Wrapped(model, logits=flat_below(4.0)).eval(), few_clips, threat)["video"].path_gradient
    assert (flat[:, -1] == 0).sum() >= 5


def test_only_modalities_with_a_budget_are_looked_at(model: Classifier, few_clips: Batch) -> None:
    assert set(slopes(model, few_clips, ThreatModel(video=0, audio=0.1))) == {"audio"}
