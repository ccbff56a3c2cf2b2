from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from evaluation.config import EvaluateConfig
from evaluation.reporting.report import REPORT_NAME, Report
from evaluation.stored.certificates import Certificates
from preprocessing.errors import DataError
from training.attacks import PGD

HandMade = Callable[..., Certificates]
Summarised = Callable[[Certificates, EvaluateConfig], Report]


@pytest.fixture
def report(hand_made: HandMade, summarised: Summarised, config: EvaluateConfig) -> Report:
    """3 of 4 clips right; FGSM fools one of them, PGD none."""
    clean = [0, 1, 2, 0]
    return summarised(hand_made(config, {"clean": clean, "else": clean, "fgsm": [0, 1, 0, 3]}), config)


def test_a_report_survives_its_file(report: Report, tmp_path: Path) -> None:
    report.write(tmp_path)
    assert Report.read(tmp_path) == report
    assert [path.name for path in tmp_path.iterdir()] == [REPORT_NAME]


def test_a_folder_without_a_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no finished evaluation"):
        Report.read(tmp_path)


def test_a_report_of_another_version_is_refused(report: Report, tmp_path: Path) -> None:
    report.write(tmp_path)
    path = tmp_path / REPORT_NAME
    path.write_text(path.read_text().replace('"format_version": 6', '"format_version": 1'))
    with pytest.raises(DataError, match="has format version 1, this code reads 2 to 6: make it again"):
        Report.read(tmp_path)


def test_the_table_shows_every_attack_and_the_threat_model(report: Report) -> None:
    console = Console(width=100, record=True, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(report.table())
    text = capture.get()
    assert "4 clips, threat model linf(video=7/255, audio=7/255)" in text
    for words in ("clean", "75.0 %", "fgsm", "50.0 %", "33.3 %", "pgd-5 margin", "worst case"):
        assert words in text


def test_a_report_of_version_5_crafted_one_attack_on_surrogates(report: Report, tmp_path: Path) -> None:
    record = json.loads(report.model_dump_json())
    del record["config"]["transfer_attacks"]
    record["config"]["transfer_attack"] = {"name": "pgd", "steps": 7}
    (tmp_path / REPORT_NAME).write_text(json.dumps({**record, "format_version": 5}))
    found = Report.read(tmp_path)
    assert found.config.transfer_attacks == (PGD(steps=7),)
    assert found.model_copy(update={"config": report.config}) == report


def test_a_report_of_version_4_has_one_attack_behind_its_points(report: Report, tmp_path: Path) -> None:
    """Three of four clips stand untouched on the curve; a class of one clip has the interval of one clip."""
    record = json.loads(report.model_dump_json())
    for each in (*record["curve"], *record["modalities"]):
        each |= {"robust_accuracy": 0.75, "robust_accuracy_interval": [0.5, 1.0]}
        for name in ("worst_case_robust_accuracy", "worst_case_robust_accuracy_interval", "worst_case_of"):
            del each[name]
    for row in record["classes"]:
        del row["clean_accuracy_interval"], row["worst_case_robust_accuracy_interval"]
    del record["confusions"], record["config"]["curve_attacks"]
    (tmp_path / REPORT_NAME).write_text(json.dumps(record | {"format_version": 4}))
    found = Report.read(tmp_path)
    assert found.config.curve_attacks == ()
    assert {point.worst_case_of for point in (*found.curve, *found.modalities)} == {("pgd-5",)}
    assert {point.worst_case_robust_accuracy for point in found.curve} == {0.75}
    assert {point.worst_case_robust_accuracy_interval for point in found.modalities} == {(0.5, 1.0)}
    assert found.classes == report.classes
    assert found.confusions == ()
