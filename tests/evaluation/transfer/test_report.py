from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.transfer.report import TRANSFER_NAME, TransferReport
from preprocessing.errors import DataError, PlaceError
from tests.evaluation.transfer.hand_made import config_of, facts_of, report_of


def test_a_report_is_read_back(tmp_path: Path) -> None:
    report = report_of(config_of(ensembles=["leave_one_out"]))
    report.write(tmp_path)
    assert TransferReport.read(tmp_path) == report


def test_a_missing_and_a_foreign_report_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="holds no finished measurement of transfer"):
        TransferReport.read(tmp_path)
    (tmp_path / TRANSFER_NAME).write_text('{"format_version": 9}')
    with pytest.raises(DataError, match="is not a report of this version: "):
        TransferReport.read(tmp_path)


def test_the_headline_is_the_best_attack_between_different_models() -> None:
    """tma: (2/3 + 3/4) / 6 of the clips."""
    assert report_of(config_of()).headline == "tma transfers best: success rate 23.6 % over 6 cells"


def test_craftings_that_leave_a_rest_are_named() -> None:
    report = report_of(config_of(budget=61))
    assert len(list(report.unequal())) == len(facts_of(report.config).craftings)
    assert list(report_of(config_of()).unequal()) == []
    assert list(report_of(config_of(budget=None, baseline=None)).unequal()) == []
