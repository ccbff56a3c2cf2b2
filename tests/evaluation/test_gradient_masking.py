"""Models that look robust because their gradients mislead, and what tells them apart from honest ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evaluation.certificates import Certificates
from evaluation.config import CheckLimits, EvaluateConfig
from evaluation.gradient_masking import (
    AttackOutcome,
    accuracy_falls_with_epsilon,
    clip_facts,
    many_steps_beat_one,
    unbounded_attack_succeeds,
)
from evaluation.report import Report
from training.batch import Batch
from training.models import Classifier, Outputs

Certify = Callable[..., Certificates]
Summarised = Callable[[Certificates, EvaluateConfig], Report]
LIMITS = CheckLimits()


class Wrapped(nn.Module):
    """The trained classifier with something done to its inputs or logits."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        outputs: Outputs = self.model(video, audio)
        return replace(outputs, logits=self.logits(outputs.logits))

    def logits(self, logits: Tensor) -> Tensor:
        return logits


class Rounded(Wrapped):
    def logits(self, logits: Tensor) -> Tensor:
        return logits.round(decimals=2)


class Scaled(Wrapped):
    def logits(self, logits: Tensor) -> Tensor:
        return 1000 * logits


class Backwards(Wrapped):
    """Right values, gradients that point the other way."""

    def logits(self, logits: Tensor) -> Tensor:
        return 2 * logits.detach() - logits


class Noisy(Wrapped):
    def logits(self, logits: Tensor) -> Tensor:
        return logits + 0.1 * torch.randn_like(logits)


class NotFinite(Wrapped):
    def logits(self, logits: Tensor) -> Tensor:
        return logits * torch.tensor([float("nan"), 1.0, 1.0, 1.0])


class CoarseFrames(Wrapped):
    """Frames in 16 grey levels: the gradient does not pass the rounding."""

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        outputs: Outputs = self.model((video * 15).round() / 15, audio)
        return outputs


class Deaf(Wrapped):
    """Does not listen at all, which is no masking."""

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        outputs: Outputs = self.model(video, 0.0 * audio)
        return outputs


def fired(report: Report) -> set[str]:
    return {check.name for check in report.checks if check.outcome == "fired"}


def test_an_honest_model_passes_every_check(
    certificates: Certificates, config: EvaluateConfig, summarised: Summarised
) -> None:
    report = summarised(certificates, config)
    assert {check.outcome for check in report.checks} == {"passed"}
    assert report.withheld is None
    assert report.worst_case_robust_accuracy is not None


@pytest.mark.parametrize(
    ("masked", "expected"),
    [
        (Rounded, {"video_gradients_are_usable", "audio_gradients_are_usable"}),
        (Scaled, {"video_gradients_are_usable", "audio_gradients_are_usable"}),
        (CoarseFrames, {"video_gradients_are_usable"}),
        (Backwards, {"unbounded_attack_succeeds"}),
        (Noisy, {"forward_is_deterministic"}),
        (NotFinite, {"forward_is_deterministic", "video_gradients_are_usable", "audio_gradients_are_usable"}),
    ],
)
def test_a_masked_model_has_its_headline_withheld(
    masked: type[Wrapped],
    expected: set[str],
    certify: Certify,
    summarised: Summarised,
    model: Classifier,
    few_clips: Batch,
    config: EvaluateConfig,
) -> None:
    report = summarised(certify(masked(model).eval(), few_clips, config), config)
    assert expected <= fired(report)
    assert report.worst_case_robust_accuracy is None
    assert report.withheld is not None
    assert {reason.split(":")[0] for reason in report.withheld.reasons} == fired(report)


def test_a_model_that_does_not_listen_is_not_masked(
    certify: Certify, summarised: Summarised, model: Classifier, few_clips: Batch, config: EvaluateConfig
) -> None:
    assert fired(summarised(certify(Deaf(model).eval(), few_clips, config), config)) == set()


def test_looking_at_the_clips_leaves_the_model_as_it_was(model: Classifier, few_clips: Batch) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    try:
        clip_facts(model, few_clips)
        assert all(module.training for module in model.modules())
    finally:
        model.eval()
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def outcome(label: str, backward_passes: int, robust: int, of: int = 100) -> AttackOutcome:
    """The first `robust` of `of` clips withstand."""
    return AttackOutcome(label, "linf(video=4/255, audio=4/255)", backward_passes, np.arange(of) < robust)


def test_a_one_step_attack_that_beats_many_steps_fires() -> None:
    """20 clips only the single step fools, none the other way: 2^-20 by chance."""
    check = many_steps_beat_one([outcome("fgsm", 1, 30), outcome("pgd-20", 20, 50)], limits=LIMITS)
    assert check.outcome == "fired"
    assert "robust accuracy 30.0% under fgsm and 50.0% under pgd-20" in check.finding


def test_the_strongest_iterative_attack_counts() -> None:
    attacks = [outcome("fgsm", 1, 30), outcome("pgd-20", 20, 50), outcome("pgd-20 margin", 20, 25)]
    assert many_steps_beat_one(attacks, limits=LIMITS).outcome == "passed"


def test_a_lead_of_a_few_clips_is_noise() -> None:
    """4 clips of 100 more: one chance in 16, which happens. 2 of 1000 are sure enough, and too few to matter."""
    assert many_steps_beat_one([outcome("fgsm", 1, 46), outcome("pgd", 9, 50)], limits=LIMITS).outcome == "passed"
    thousand = [outcome("fgsm", 1, 480, 1000), outcome("pgd", 9, 499, 1000)]
    assert many_steps_beat_one(thousand, limits=LIMITS).outcome == "passed"


def test_without_a_one_step_attack_the_check_says_so() -> None:
    check = many_steps_beat_one([outcome("pgd-20", 20, 50)], limits=LIMITS)
    assert (check.outcome, check.finding) == ("not_run", "no one-step attack in the list")
    assert many_steps_beat_one([outcome("fgsm", 1, 50)], limits=LIMITS).finding == "no iterative attack in the list"


def test_an_attack_that_follows_no_gradient_is_neither_one_step_nor_iterative() -> None:
    """Square fools more clips than one step and than many: that says nothing about the gradient's way."""
    attacks = [outcome("square", 0, 10), outcome("fgsm", 1, 50), outcome("pgd-20", 20, 45)]
    check = many_steps_beat_one(attacks, limits=LIMITS)
    assert check.outcome == "passed"
    assert "50.0% under fgsm and 45.0% under pgd-20" in check.finding
    assert many_steps_beat_one(attacks[:2], limits=LIMITS).finding == "no iterative attack in the list"


def test_accuracy_that_rises_with_epsilon_fires() -> None:
    curve = [outcome("pgd", 20, share) for share in (80, 40, 60)]
    check = accuracy_falls_with_epsilon(curve, limits=LIMITS)
    assert check.outcome == "fired"
    assert "largest step upwards: 40.0%" in check.finding


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ((40, 48), "fired"),
        ((80, 40, 48), "passed"),
        ((80, 40, 49), "fired"),
        ((80, 70, 40, 49), "passed"),
        ((80, 70, 40, 50), "fired"),
    ],
)
def test_each_of_several_comparisons_must_be_surer_than_a_single_one(curve: tuple[int, ...], expected: str) -> None:
    """8 clips of 100 the one way and none the other: 2^-8 = 0.0039 by chance, below 0.01 for two points, the one pair.

    Three points are three pairs, so each must be below 0.01 / 3 = 0.0033 (Bonferroni): 2^-9 = 0.0020 is. Four points
    are six pairs, 0.01 / 6 = 0.0017: 2^-9 is not, 2^-10 = 0.0010 is.
    """
    check = accuracy_falls_with_epsilon([outcome("pgd", 20, robust) for robust in curve], limits=LIMITS)
    assert check.outcome == expected


def test_accuracy_that_wobbles_passes() -> None:
    curve = [outcome("pgd", 20, share) for share in (80, 40, 43, 0)]
    assert accuracy_falls_with_epsilon(curve, limits=LIMITS).outcome == "passed"
    assert accuracy_falls_with_epsilon(curve[:1], limits=LIMITS).outcome == "not_run"


@pytest.mark.parametrize(("right", "expected"), [(0, "passed"), (50, "passed"), (63, "passed"), (66, "fired")])
def test_without_a_limit_accuracy_must_fall_to_chance(
    right: int, expected: str, hand_made: Callable[..., Certificates], config: EvaluateConfig
) -> None:
    """200 clips of 4 classes: guessing gets 50, and by luck 65 or more once in 100 tries (binomial, 6.1 per sigma)."""
    labels = [number % 4 for number in range(200)]
    clips = hand_made(config, {"clean": labels, "else": labels}).select("fgsm", str(config.threat))
    check = unbounded_attack_succeeds(clips, outcome("pgd", 20, right, 200), limits=LIMITS)
    assert check.outcome == expected
