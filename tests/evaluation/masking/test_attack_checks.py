"""What the results of attacks say about the gradients that they followed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from evaluation.config import CheckLimits, EvaluateConfig
from evaluation.masking.attack_checks import (
    accuracy_falls_with_epsilon,
    many_steps_beat_one,
    unbounded_attack_succeeds,
    white_box_beats_black_box,
)
from evaluation.masking.check import AttackOutcome
from evaluation.stored.certificates import Certificates

HandMade = Callable[..., Certificates]
LIMITS = CheckLimits()


def outcome(
    label: str, backward_passes: int, robust: int, of: int = 100, *, transferred: bool = False
) -> AttackOutcome:
    """The first `robust` of `of` clips withstand."""
    threat = "linf(video=4/255, audio=4/255)"
    return AttackOutcome(label, threat, backward_passes, np.arange(of) < robust, is_transferred=transferred)


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


@pytest.fixture(scope="module")
def two_hundred(hand_made: HandMade, config: EvaluateConfig) -> Certificates:
    """200 clips of 4 classes, which depend on both modalities."""
    labels = [number % 4 for number in range(200)]
    return hand_made(config, {"clean": labels, "else": labels}).select("fgsm", str(config.threat))


@pytest.mark.parametrize(("right", "expected"), [(0, "passed"), (50, "passed"), (63, "passed"), (66, "fired")])
def test_without_a_limit_accuracy_must_fall_to_chance(right: int, expected: str, two_hundred: Certificates) -> None:
    """200 clips of 4 classes: guessing gets 50, and by luck 65 or more once in 100 tries (binomial, 6.1 per sigma)."""
    check = unbounded_attack_succeeds(
        two_hundred, outcome("pgd", 20, right, 200), None, attacked=("video", "audio"), limits=LIMITS
    )
    assert check.outcome == expected


@pytest.mark.parametrize(
    ("attack", "noise", "expected"),
    [(0, 0, "passed"), (40, 50, "passed"), (45, 50, "fired"), (50, 50, "fired"), (50, 40, "fired"), (3, 6, "not_run")],
)
def test_without_a_limit_an_attack_must_beat_plain_noise_or_leave_nothing(
    attack: int, noise: int, expected: str, two_hundred: Certificates
) -> None:
    """10 clips of 200 more: 2^-10 by chance. 5 more: 2^-5 = 0.03. Noise that leaves 6 can be beaten by 2^-6 = 0.016."""
    check = unbounded_attack_succeeds(
        two_hundred,
        outcome("pgd", 20, attack, 200),
        outcome("noise", 0, noise, 200),
        attacked=("video", "audio"),
        limits=LIMITS,
    )
    assert check.outcome == expected
    assert f"plain noise leaves {noise}" in check.finding


@pytest.mark.parametrize(
    ("attack", "noise", "expected"),
    [(150, 190, "passed"), (200, 200, "not_run"), (0, 0, "passed"), (200, 180, "fired")],
)
def test_a_clip_may_be_recognised_by_what_the_threat_spares(
    attack: int, noise: int, expected: str, two_hundred: Certificates
) -> None:
    """An attack on the sound alone leaves the frames; it must not do worse than noise."""
    check = unbounded_attack_succeeds(
        two_hundred,
        outcome("pgd", 20, attack, 200),
        outcome("noise", 0, noise, 200),
        attacked=("audio",),
        limits=LIMITS,
    )
    assert check.outcome == expected


def test_clips_that_only_an_attack_without_the_gradient_breaks_fire() -> None:
    """Both white-box attacks leave 50 clips, of which Square breaks 10: 2^-10 by chance."""
    attacks = [outcome("fgsm", 1, 60), outcome("pgd-20", 20, 50), outcome("square", 0, 40)]
    check = white_box_beats_black_box(attacks, limits=LIMITS)
    assert check.outcome == "fired"
    assert "10 of the 50 clips that withstand every attack by the gradient fall to another, 10 of them to square" in (
        check.finding
    )


def test_an_attack_from_another_model_is_no_white_box() -> None:
    attacks = [outcome("pgd-20", 20, 50), outcome("mifgsm-10 from other", 10, 30, transferred=True)]
    assert white_box_beats_black_box(attacks, limits=LIMITS).outcome == "fired"
    assert many_steps_beat_one([outcome("fgsm", 1, 60), attacks[1]], limits=LIMITS).outcome == "not_run"


def test_a_black_box_that_breaks_a_few_more_clips_is_no_news() -> None:
    """6 more of 100: 2^-6 = 0.016. 19 of 1000 are less than the smallest effect."""
    few = [outcome("pgd-20", 20, 50), outcome("square", 0, 44)]
    many = [outcome("pgd-20", 20, 500, 1000), outcome("square", 0, 481, 1000)]
    assert white_box_beats_black_box(few, limits=LIMITS).outcome == "passed"
    assert white_box_beats_black_box(many, limits=LIMITS).outcome == "passed"


def test_without_a_black_box_the_check_says_so() -> None:
    check = white_box_beats_black_box([outcome("pgd-20", 20, 50)], limits=LIMITS)
    assert (check.outcome, check.finding) == ("not_run", "no gradient-free or transferred attack in the list")
    check = white_box_beats_black_box([outcome("square", 0, 50)], limits=LIMITS)
    assert (check.outcome, check.finding) == ("not_run", "no gradient attack in the list")
