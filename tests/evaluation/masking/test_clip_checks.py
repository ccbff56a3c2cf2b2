"""Each check on given facts: where it fires, what it leaves out and what it says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evaluation.config import CheckLimits, EvaluateConfig
from evaluation.masking.clip_checks import (
    companions_change_nothing,
    forward_is_deterministic,
    gradients_are_usable,
    gradients_last_on_the_way,
    loss_rises_along_gradient,
    smoothing_finds_no_more,
)
from evaluation.stored.certificates import Certificate, Certificates

HandMade = Callable[..., Certificates]
Facts = Callable[..., Certificates]
LIMITS = CheckLimits()


@pytest.fixture
def facts(hand_made: HandMade, config: EvaluateConfig) -> Facts:
    """20 clips; the first `num` of them with other facts than an honest model's."""

    def make(num: int, **changes: object) -> Certificates:
        labels = [number % 4 for number in range(20)]
        rows = hand_made(config, {"clean": labels, "else": labels}).select("fgsm", str(config.threat)).table.to_pylist()
        changed = [row | changes if number < num else row for number, row in enumerate(rows)]
        return Certificates.from_rows([Certificate.model_validate(row) for row in changed])

    return make


@pytest.mark.parametrize(
    ("num", "changes", "outcome"),
    [
        (1, {"video_gradient": 0.0}, "passed"),
        (2, {"video_gradient": 0.0}, "fired"),
        (2, {"video_gradient": None}, "fired"),
        (20, {"video_gradient": 0.0, "uses_video": False}, "passed"),
        (20, {"audio_gradient": 0.0}, "passed"),
    ],
)
def test_usable_gradients(num: int, changes: dict[str, object], outcome: str, facts: Facts) -> None:
    """One clip of 20 is 5 %, which is allowed."""
    assert gradients_are_usable(facts(num, **changes), modality="video", limits=LIMITS).outcome == outcome


@pytest.mark.parametrize(
    ("num", "changes", "outcome"),
    [
        (20, {"video_path_gradient": (1e-3, 1e-3, 1e-3)}, "passed"),
        (1, {"video_path_gradient": (1.0, 1.0, 0.0)}, "passed"),
        (2, {"video_path_gradient": (1.0, 1.0, 0.0)}, "fired"),
        (2, {"video_path_gradient": (1.0, 1e-7, 1.0)}, "fired"),
        (2, {"video_path_gradient": (1e-2, 1e-2, 1e-2), "video_gradient": 1e3}, "fired"),
        (20, {"video_path_gradient": (None, None, None)}, "passed"),
        (20, {"video_path_gradient": (0.0, 0.0, 0.0), "uses_video": False}, "passed"),
        (20, {"video_path_gradient": (0.0, 0.0, 0.0), "video_gradient": 0.0}, "passed"),
        (20, {"audio_path_gradient": (0.0, 0.0, 0.0)}, "passed"),
    ],
)
def test_gradients_on_the_way(num: int, changes: dict[str, object], outcome: str, facts: Facts) -> None:
    """The untouched clip's is 1; without one `gradients_are_usable` fires already. One clip of 20 is 5 %."""
    assert gradients_last_on_the_way(facts(num, **changes), modality="video", limits=LIMITS).outcome == outcome


def test_the_place_where_gradients_end_is_told(facts: Facts) -> None:
    check = gradients_last_on_the_way(facts(4, video_path_gradient=(1.0, None, 0.0)), modality="video", limits=LIMITS)
    assert check.finding == (
        "4 of 20 clips are still right at the point where an attack ends and have less than 0.0001 of the untouched "
        "clip's gradient left (20.0%; allowed 5.0%)"
    )


@pytest.mark.parametrize(
    ("num", "changes", "outcome"),
    [
        (20, {"audio_alignment": (0.3, 0.3, 0.3, 0.3)}, "passed"),
        (2, {"audio_alignment": (0.1, 1.0, 1.0, 1.0)}, "passed"),
        (3, {"audio_alignment": (0.1, 1.0, 1.0, 1.0)}, "fired"),
        (3, {"audio_alignment": (1.0, 1.0, 1.0, -2.0)}, "fired"),
        (20, {"audio_alignment": (None, None, None, None)}, "passed"),
        (20, {"audio_alignment": (0.0, 0.0, 0.0, 0.0), "uses_audio": False}, "passed"),
        (20, {"video_alignment": (0.0, 0.0, 0.0, 0.0)}, "passed"),
    ],
)
def test_steps_along_the_gradient(num: int, changes: dict[str, object], outcome: str, facts: Facts) -> None:
    """2 clips of 20 are 10 %, which is allowed, at each step size by itself."""
    assert loss_rises_along_gradient(facts(num, **changes), modality="audio", limits=LIMITS).outcome == outcome


def test_the_step_size_that_misleads_most_is_told(facts: Facts) -> None:
    check = loss_rises_along_gradient(facts(8, video_alignment=(1.0, 1.0, 1.0, 0.0)), modality="video", limits=LIMITS)
    assert check.name == "video_loss_rises_along_gradient"
    assert check.finding.startswith(
        "8 of 20 clips are misled by it in a step of epsilon / 8 from a point that an attack "
    )
    assert "reaches (40.0%; allowed 10.0%): it keeps less than 0.25" in check.finding


@pytest.mark.parametrize(
    ("num", "changes", "outcome"),
    [
        (20, {"video_smoothed_rise": 0.19}, "passed"),
        (2, {"video_smoothed_rise": 0.3}, "passed"),
        (3, {"video_smoothed_rise": 0.3}, "fired"),
        (3, {"video_rise": -0.1, "video_smoothed_rise": 0.05}, "fired"),
        (20, {"video_rise": -0.1, "video_smoothed_rise": 0.01}, "passed"),
        (20, {"video_rise": None, "video_smoothed_rise": None}, "passed"),
    ],
)
def test_smoothed_gradients(num: int, changes: dict[str, object], outcome: str, facts: Facts) -> None:
    """The honest rise is 0.1: more than twice as high counts, and more than 2 % of the logits' spread."""
    assert smoothing_finds_no_more(facts(num, **changes), modality="video", limits=LIMITS).outcome == outcome


@pytest.mark.parametrize(("value", "outcome"), [(1e-6, "passed"), (1e-2, "fired"), (None, "fired")])
def test_one_clip_that_hangs_on_chance_or_on_others_is_enough(value: float | None, outcome: str, facts: Facts) -> None:
    changed = facts(1, forward_difference=value, companion_difference=value)
    assert forward_is_deterministic(changed, limits=LIMITS).outcome == outcome
    assert companions_change_nothing(changed, limits=LIMITS).outcome == outcome


def test_what_was_done_about_chance_is_told(facts: Facts) -> None:
    check = forward_is_deterministic(facts(1, forward_difference=0.1), limits=LIMITS, eot_samples=16)
    assert check.outcome == "fired"
    assert check.finding.endswith("; attacks followed the mean of 16 passes")
