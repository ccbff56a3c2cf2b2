from __future__ import annotations

import pytest
from pydantic import ValidationError

from training.config import TrainConfig
from training.curriculum.monitoring import Decision, EarlyStopping, OverfittingMonitor, decide, epochs_without_gain


def decisions(accuracies: list[float], monitor: OverfittingMonitor) -> list[Decision]:
    """After each epoch."""
    return [
        decide(accuracies[:epochs], early_stopping=None, overfitting=monitor) for epochs in range(len(accuracies) + 1)
    ]


@pytest.mark.parametrize(
    ("accuracies", "min_gain", "expected"),
    [
        ([], 0.0, 0),
        ([0.5], 0.0, 0),
        ([0.5, 0.5, 0.4], 0.0, 2),
        ([0.5, 0.4, 0.6], 0.0, 0),
        ([0.1, 0.2, 0.3], 0.1, 0),
        ([0.1, 0.15, 0.19], 0.1, 2),
        ([0.5, 0.6], 0.1, 1),
    ],
)
def test_a_gain_is_more_than_asked_for_above_the_last_one(
    accuracies: list[float], min_gain: float, expected: int
) -> None:
    """Of 0.1, 0.2, 0.3 no step gains more than 0.1, but the third lies 0.2 above the first."""
    assert epochs_without_gain(accuracies, min_gain=min_gain) == expected


def test_training_ends_when_patience_does_and_says_why() -> None:
    stopping = EarlyStopping(patience=2, min_delta=0.01)
    history = [0.25, 0.5, 0.505, 0.4]
    reasons = [stopping.reason(history[:epochs]) for epochs in range(5)]
    assert reasons[:4] == [""] * 4
    assert reasons[4] == (
        "robust accuracy on validation has not gained more than 1.0% for 2 epochs, since epoch 2 (50.0%); "
        "early_stopping.patience=2"
    )


def test_nothing_ends_unless_it_is_asked_for() -> None:
    assert decide([0.9, 0.0, 0.0, 0.0], early_stopping=None, overfitting=None) == Decision()


def test_a_fall_by_just_what_is_allowed_is_none() -> None:
    """0.45 - 0.25 is 0.2, in floating point a little more."""
    assert OverfittingMonitor(max_drop=0.2).collapses([0.45, 0.25, 0.24, 0.45, 0.1]) == [3, 5]


def test_a_fall_ends_training_and_says_why() -> None:
    *before, for_next_epoch = decisions([0.3, 0.5, 0.1], OverfittingMonitor())
    assert before == [Decision()] * 3
    assert not for_next_epoch.roll_back
    assert for_next_epoch.stop == (
        "catastrophic overfitting: robust accuracy on validation fell from 50.0% to 10.0%, by more than "
        "overfitting.max_drop=0.2"
    )


def test_each_fall_rolls_back_and_lowers_the_learning_rate_until_roll_backs_are_spent() -> None:
    """Falls after epochs 2, 4 and 5, of which two are rolled back."""
    monitor = OverfittingMonitor(action="roll_back", max_roll_backs=2, learning_rate_factor=0.5)
    found = decisions([0.5, 0.0, 0.5, 0.1, 0.0], monitor)
    assert found[:5] == [
        Decision(),
        Decision(),
        Decision(roll_back=True, roll_backs=1, learning_rate_factor=0.5),
        Decision(roll_back=False, roll_backs=1, learning_rate_factor=0.5),
        Decision(roll_back=True, roll_backs=2, learning_rate_factor=0.25),
    ]
    assert not found[5].roll_back
    assert found[5].stop.endswith("overfitting.max_drop=0.2, after 2 roll-backs")


def test_an_end_of_patience_goes_before_a_roll_back() -> None:
    found = decide(
        [0.5, 0.0],
        early_stopping=EarlyStopping(patience=1),
        overfitting=OverfittingMonitor(action="roll_back"),
    )
    assert "early_stopping.patience=1" in found.stop
    assert not found.roll_back


def test_going_back_to_an_epoch_chosen_by_clean_accuracy_is_refused() -> None:
    changes = {"overfitting": {"action": "roll_back"}, "validation": {"best_by": "clean_accuracy"}}
    with pytest.raises(ValidationError, match=r"best_by=clean_accuracy chooses without .*; set best_by=robust_acc"):
        TrainConfig.model_validate({"data": "data", "output": "output", **changes})


def test_the_next_epoch_has_the_learning_rate_that_roll_backs_have_left() -> None:
    config = TrainConfig.model_validate({"data": "a", "output": "b", "overfitting": {"action": "roll_back"}})
    history = [{"validation/robust_accuracy": value} for value in (0.5, 0.1)]
    settings, decision = config.for_next_epoch(history)
    assert decision.roll_back
    assert settings.optimizer.learning_rate == config.optimizer.learning_rate / 2
    assert config.for_next_epoch(history[:1]) == (config, Decision())
