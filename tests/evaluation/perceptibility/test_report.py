from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from evaluation.perceptibility.report import PERCEPTIBILITY_NAME, PerceptibilityReport
from preprocessing.errors import DataError, PlaceError
from tests.evaluation.perceptibility.hand_made import report_of


def test_a_report_comes_back_as_it_was_written(tmp_path: Path) -> None:
    report_of().write(tmp_path)
    assert PerceptibilityReport.read(tmp_path) == report_of()


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="holds no finished report about perceptibility"):
        PerceptibilityReport.read(tmp_path)
    record = json.loads(report_of().model_dump_json())
    (tmp_path / PERCEPTIBILITY_NAME).write_text(json.dumps(record | {"num_clips": "many"}))
    with pytest.raises(DataError, match="is not a report of this version: num_clips"):
        PerceptibilityReport.read(tmp_path)


def test_the_tables_have_the_means_and_what_survives() -> None:
    file = io.StringIO()
    for table in report_of().tables():
        Console(file=file, width=100).print(table)
    lines = [[word for word in line.split() if word not in ("│", "%")] for line in file.getvalue().splitlines()]
    assert ["pgd", "0.650", "30.0", "20.0", "2.2", "3/5"] in lines
    assert ["fgsm", "0.900", "30.0", "20.0", "1.0", "1/2"] in lines
    assert ["jpeg_75", "80.0", "33.3", "0.0"] in lines
    assert ["aac_64", "80.0", "100.0", "0.0"] in lines
