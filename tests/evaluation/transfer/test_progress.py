from __future__ import annotations

import logging

import pytest

from evaluation.planning.plan import Measurement
from evaluation.transfer.measurement import TransferPiece
from evaluation.transfer.outcomes import Outcomes
from evaluation.transfer.plan import Crafting
from evaluation.transfer.progress import TransferProgress
from evaluation.transfer.surrogates import surrogates_of
from tests.evaluation.transfer.hand_made import outcome
from training.attacks import MIFGSM
from training.threat import ThreatModel


def piece(number: int, *, batch: int) -> TransferPiece:
    """Five clips: on A all are fooled, on B one of the four that count."""
    rows = [outcome(victim="A", perturbed_prediction=0) for _ in range(5)]
    rows += [outcome(victim="B", perturbed_prediction=0 if clip < 2 else 1, victim_right=clip > 0) for clip in range(5)]
    return TransferPiece(number, batch, Outcomes.from_rows(rows), "a processor")


def test_each_finished_crafting_has_one_line(caplog: pytest.LogCaptureFixture) -> None:
    [surrogate] = surrogates_of(["A"], ["A", "B"], [])
    attacks = (MIFGSM(steps=4), MIFGSM(steps=8))
    craftings = [Crafting("mifgsm", surrogate, Measurement(attack, ThreatModel(), surrogate="A")) for attack in attacks]
    progress = TransferProgress(craftings, 10)
    with caplog.at_level(logging.INFO, logger="evaluation"):
        progress.keep(piece(0, batch=0))
        for number, batch in ((0, 1), (1, 0), (1, 1)):
            progress.add(piece(number, batch=batch))
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith("mifgsm-4 from A: 10/10 clips, white box 1.000, transfer 0.250, ")
    assert caplog.messages[1] == "mifgsm-8 from A: 10/10 clips, white box 1.000, transfer 0.250, 0 s left"
