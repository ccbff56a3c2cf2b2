from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from evaluation.corruptions.report import CORRUPTIONS_NAME, CorruptionReport
from evaluation.corruptions.summary import summarise
from preprocessing.errors import DataError, PlaceError
from tests.evaluation.corruptions.hand_made import ERRORS, FACTS, config_of, measured


@pytest.fixture(scope="module")
def report() -> CorruptionReport:
    return summarise(measured(ERRORS), reference=None, config=config_of(), facts=FACTS)


def test_a_report_survives_its_file(report: CorruptionReport, tmp_path: Path) -> None:
    report.write(tmp_path)
    assert CorruptionReport.read(tmp_path) == report


def test_what_is_no_report_is_named(report: CorruptionReport, tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="holds no finished measurement under corruptions"):
        CorruptionReport.read(tmp_path)
    changed = json.loads(report.model_dump_json()) | {"format_version": 2}
    (tmp_path / CORRUPTIONS_NAME).write_text(json.dumps(changed))
    with pytest.raises(DataError, match="is not a report of this version"):
        CorruptionReport.read(tmp_path)


def test_the_table_has_a_row_per_corruption_and_group(report: CorruptionReport) -> None:
    console = Console(width=80, record=True)
    console.print(report.table())
    lines = console.export_text().splitlines()
    [rain] = [line for line in lines if "rain" in line]
    assert "70.0 %" in rain
    [overall] = [line for line in lines if "mean, all" in line]
    assert "80.0 %" in overall
    assert any("none" in line and line.count("90.0 %") == 3 for line in lines)


def test_the_headline_is_the_mean_over_all(report: CorruptionReport) -> None:
    assert report.headline == "mean accuracy 80.0 % with perturbed=both"
