from __future__ import annotations

import logging

import pytest

from evaluation.corruptions.measurement import Condition, CorruptedPiece
from evaluation.corruptions.predictions import Predictions
from evaluation.corruptions.progress import CorruptionsProgress
from tests.evaluation.corruptions.hand_made import prediction


def piece(condition: int, *, batch: int, predicted: int) -> CorruptedPiece:
    rows = [prediction(key=f"clip {batch} {number}", prediction_both=predicted) for number in range(5)]
    return CorruptedPiece(condition, batch, Predictions.from_rows(rows), "a processor")


def test_each_finished_corruption_has_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Ten clips at two severities are 20, half of which are wrong."""
    conditions = [Condition("rain", 1), Condition("rain", 5), Condition("snow", 1), Condition("snow", 5)]
    progress = CorruptionsProgress(conditions, 10, perturbed="both")
    with caplog.at_level(logging.INFO, logger="evaluation"):
        for batch in (0, 1):
            for number in range(4):
                progress.add(piece(number, batch=batch, predicted=number % 2))
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith("rain, perturbed=both: 20/20 corrupted clips, accuracy 0.500, ")
    assert caplog.messages[1].startswith("snow, perturbed=both: 20/20 corrupted clips, accuracy 0.500, 0 s left")
