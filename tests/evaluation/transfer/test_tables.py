from __future__ import annotations

import csv
import io

import pytest

from evaluation.transfer import tables
from evaluation.transfer.report import TransferReport
from tests.evaluation.transfer.hand_made import config_of, report_of


@pytest.fixture(scope="module")
def report() -> TransferReport:
    return report_of(config_of(ensembles=["leave_one_out", ["A", "B"]]))


def test_the_ensembles_of_all_others_share_a_row(report: TransferReport) -> None:
    rows = tables.rows_of(report, "mifgsm")
    assert list(rows) == ["A", "B", "C", "all others", "A+B"]
    assert {victim: cell.surrogate for victim, cell in rows["all others"].items()} == {
        "A": "all but A",
        "B": "all but B",
        "C": "all but C",
    }


def test_cells_tell_rate_interval_and_clips_and_mark_the_white_box(report: TransferReport) -> None:
    grid = tables.success_rates(report, "mifgsm")
    assert grid.headings == ("crafted on", "A", "B", "C")
    assert grid.rows[0][1].startswith("100.0* (47.8 to 100.0), 5")
    assert grid.rows[0][2].startswith("33.3 (")
    assert grid.rows[0][2].endswith("), 3")


def test_csv_holds_every_cell_in_full(report: TransferReport) -> None:
    rows = list(csv.DictReader(io.StringIO(tables.cells_csv(report))))
    assert len(rows) == len(report.cells)
    for row, cell in zip(rows, report.cells, strict=True):
        assert (row["attack"], row["surrogate"], row["victim"]) == (cell.attack, cell.surrogate, cell.victim)
        assert int(row["clips"]) == cell.num_clips
        assert float(row["success_rate"]) == cell.success_rate
        assert row["difference"] == ("" if cell.difference is None else repr(cell.difference))


def test_texts_hold_means_cells_and_costs(report: TransferReport) -> None:
    text = tables.markdown(report)
    for words in ("one surrogate", "all others", "white box", "23.6", "Passes per clip; the budget of each is 60"):
        assert words in text
    assert tables.latex(report).count(r"\begin{table}") == 1 + 2


def test_tables_are_printed(report: TransferReport, capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_tables(report)
    assert "Mean success rate" in capsys.readouterr().out
