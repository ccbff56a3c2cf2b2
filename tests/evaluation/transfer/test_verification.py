from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from evaluation.stored.certificates import file_sha256
from evaluation.transfer.outcomes import OUTCOMES_NAME, Outcomes
from evaluation.transfer.page import PAGE_NAME, charts_of, transfer_page
from evaluation.transfer.report import TRANSFER_NAME, TransferReport
from evaluation.transfer.summary import summarise
from evaluation.transfer.verification import verify
from preprocessing.storage.provenance import Provenance
from tests.evaluation.transfer.hand_made import config_of, facts_of, outcomes_of

CONFIG = config_of(ensembles=[["A", "B"]])


def write(folder: Path, outcomes: Outcomes) -> Path:
    """A report with its outcomes and its page, made by this very code."""
    outcomes.write(folder / OUTCOMES_NAME)
    facts = facts_of(CONFIG, outcomes_sha256=file_sha256(folder / OUTCOMES_NAME))
    report = summarise(
        outcomes, config=CONFIG, facts=facts.model_copy(update={"provenance": Provenance.on("a processor")})
    )
    report.write(folder)
    (folder / PAGE_NAME).write_text(transfer_page(report, charts_of(report)))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, outcomes_of(CONFIG))


def with_changes(row: int, **changes: object) -> Outcomes:
    """The outcomes with some values of one row changed."""
    rows = outcomes_of(CONFIG).table.to_pylist()
    rows[row] |= changes
    return Outcomes(pa.Table.from_pylist(rows, schema=Outcomes.schema))


def test_an_untouched_report_verifies(folder: Path) -> None:
    assert verify(folder) == []


def test_a_changed_number_is_found_with_its_place(folder: Path) -> None:
    report = json.loads((folder / TRANSFER_NAME).read_text())
    report["cells"][1]["success_rate"] += 0.01
    (folder / TRANSFER_NAME).write_text(json.dumps(report))
    [number, page] = verify(folder)
    assert number.startswith("cells[1].success_rate: the report says 0.34")
    assert page.startswith(f"{PAGE_NAME} says ")


def test_changed_words_of_the_page_are_found(folder: Path) -> None:
    page = (folder / PAGE_NAME).read_text()
    (folder / PAGE_NAME).write_text(page.replace("Do attacks transfer?", "Attacks do not transfer."))
    [problem] = verify(folder)
    assert problem.startswith(f"{PAGE_NAME} says '<h1>Attacks do not transfer.</h1>', the report gives")


def test_changed_outcomes_are_found_by_their_hash_and_their_numbers(folder: Path) -> None:
    with_changes(7, perturbed_prediction=0, fooled=True).write(folder / OUTCOMES_NAME)
    problems = verify(folder)
    assert problems[0].startswith(f"{OUTCOMES_NAME} has SHA-256 ")
    assert any(problem.startswith("cells[") for problem in problems)


@pytest.mark.parametrize(
    ("row", "changes", "message"),
    [
        (
            7,
            {"victim_right": False},
            "clip 'clip 1' under mifgsm from A on B: victim_right is not what",
        ),
        (7, {"fooled": True}, "clip 'clip 1' under mifgsm from A on B: fooled is not what its predictions say"),
        (7, {"fooled": None}, "clip 'clip 1' under mifgsm from A on B: fooled is not what its predictions say"),
        (7, {"distance_video": 5 / 255}, "video is 0.0196078 away from the clean clip, the budget is 0.0156863"),
        (7, {"linf_outside": 0.1}, "a segment that the threat model spares is changed"),
        (7, {"victim_sha256": "00" * 32}, "outcomes say that 'B' is the model 0000"),
        (7, {"key": "clip 9"}, "outcomes of mifgsm from A on B cover other clips than the first"),
        (
            7,
            {"surrogate_right": False, "fooled": None},
            "outcomes of mifgsm from A on B disagree with its members' about untouched clips",
        ),
        (
            43,
            {"victim_right": False, "victim_prediction": 0, "fooled": None},
            "outcomes of mifgsm from B disagree with others about untouched clips of B",
        ),
    ],
)
def test_a_report_made_of_wrong_rows_is_not_believed(
    row: int, changes: dict[str, object], message: str, folder: Path
) -> None:
    """Even if its numbers follow from them."""
    outcomes = with_changes(row, **changes)
    if "key" in changes:
        outcomes.write(folder / OUTCOMES_NAME)
    else:
        write(folder, outcomes)
    assert any(message in problem for problem in verify(folder)), verify(folder)


def test_missing_files_and_rows_are_found(folder: Path) -> None:
    table = outcomes_of(CONFIG).table
    Outcomes(table.slice(0, 6)).write(folder / OUTCOMES_NAME)
    assert any("no outcomes of" in problem for problem in verify(folder))
    (folder / OUTCOMES_NAME).write_text("no table")
    assert "cannot be read as a table of outcomes" in verify(folder)[0]
    (folder / PAGE_NAME).unlink()
    assert verify(folder) == [f"'{folder / PAGE_NAME}' does not exist"]


def test_the_page_of_another_version_is_not_compared(folder: Path) -> None:
    report = TransferReport.read(folder)
    other = report.facts.provenance.model_copy(update={"version": "0.0.1"})
    report.model_copy(update={"facts": report.facts.model_copy(update={"provenance": other})}).write(folder)
    (folder / PAGE_NAME).write_text("a page")
    assert verify(folder) == []
