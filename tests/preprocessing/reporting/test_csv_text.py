from __future__ import annotations

import csv
import io

import pytest

from preprocessing.reporting.csv_text import csv_rows, csv_text

NAMES = [
    *("=cmd|' /C calc'!A0", "+1+cmd|'x'!A1", "-2+3", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("http://x","y")'),
    *("'=1", "''=1", "'-a", "-abcDEF_000001/clip.mp4", "-1.5e-05", "+3", "drums, and\nmore", "it's", ""),
]


def test_every_name_comes_back_as_it_was() -> None:
    assert [row["file"] for row in csv_rows(csv_text([["file"], *([name] for name in NAMES if name)]))] == [
        *filter(None, NAMES)
    ]


@pytest.mark.parametrize("name", NAMES[:7])
def test_a_formula_is_written_as_a_text(name: str) -> None:
    assert next(csv.reader(io.StringIO(csv_text([[name]]), newline=""))) == [f"'{name}"]


@pytest.mark.parametrize("cell", ["-abcDEF_000001/clip.mp4", "-1.5e-05", "+3", -1.5, None, "drums, and\nmore"])
def test_numbers_and_plain_names_stay_as_they_are(cell: object) -> None:
    expected = "" if cell is None else str(cell)
    assert next(csv.reader(io.StringIO(csv_text([[cell, "x"]]), newline=""))) == [expected, "x"]


def test_a_cell_larger_than_any_should_be_is_an_error() -> None:
    with pytest.raises(ValueError, match="field larger than field limit"):
        list(csv_rows("file\n" + "x" * 200_000))
