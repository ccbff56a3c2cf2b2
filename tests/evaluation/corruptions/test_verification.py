from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.corruptions.page import PAGE_NAME
from evaluation.corruptions.predictions import PREDICTIONS_NAME
from evaluation.corruptions.report import CORRUPTIONS_NAME
from evaluation.corruptions.summary import summarise
from evaluation.corruptions.verification import verify
from evaluation.stored.certificates import file_sha256
from tests.evaluation.corruptions.hand_made import ERRORS, FACTS, config_of, measured


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A report with its predictions."""
    predictions = measured(ERRORS)
    predictions.write(tmp_path / PREDICTIONS_NAME)
    facts = FACTS.model_copy(update={"predictions_sha256": file_sha256(tmp_path / PREDICTIONS_NAME)})
    summarise(predictions, reference=None, config=config_of(), facts=facts).write(tmp_path)
    (tmp_path / PAGE_NAME).write_text("a page")
    return tmp_path


def test_an_untouched_report_verifies(folder: Path) -> None:
    assert verify(folder) == []


def test_a_changed_number_is_found_with_its_place(folder: Path) -> None:
    report = json.loads((folder / CORRUPTIONS_NAME).read_text())
    report["groups"][0]["score"]["accuracy"] += 0.01
    (folder / CORRUPTIONS_NAME).write_text(json.dumps(report))
    [problem] = verify(folder)
    assert problem.startswith("groups[0].score.accuracy: the report says 0.81")


def test_changed_predictions_are_found(folder: Path) -> None:
    measured(ERRORS | {("rain", 1): (0, 1)}).write(folder / PREDICTIONS_NAME)
    problems = verify(folder)
    assert problems[0].startswith(f"{PREDICTIONS_NAME} has SHA-256 ")
    assert any("corruptions[1]" in problem for problem in problems)


def test_missing_files_and_rows_are_found(folder: Path) -> None:
    measured({pair: wrong for pair, wrong in ERRORS.items() if pair != ("rain", 5)}).write(folder / PREDICTIONS_NAME)
    assert "no predictions under rain at severity 5" in verify(folder)
    (folder / PAGE_NAME).unlink()
    assert verify(folder) == [f"'{folder / PAGE_NAME}' does not exist"]
    (folder / PREDICTIONS_NAME).write_text("no table")
    (folder / PAGE_NAME).write_text("a page")
    assert "cannot be read as a table of predictions" in verify(folder)[0]
