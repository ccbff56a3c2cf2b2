from __future__ import annotations

from rich.console import Console

from evaluation.reporting.grid import Grid, csv_of, escape_latex, escape_markdown, in_full, latex_of

GRID = Grid("50 % of_all", ("name", "share"), (("a|b & c", "1.0"), ("two\nlines", "2.0")))


def test_markdown_keeps_its_columns_whatever_a_cell_holds() -> None:
    lines = GRID.markdown().splitlines()
    assert lines[0] == "**50 % of\\_all**"
    assert lines[3:] == ["| :--- | ---: |", "| a\\|b & c | 1.0 |", "| two lines | 2.0 |"]


def test_latex_is_escaped_and_names_its_package_once() -> None:
    text = latex_of([GRID, GRID])
    assert text.count("booktabs") == 1
    assert text.count(r"\begin{tabular}{lr}") == 2
    assert r"a\textbar{}b \& c & 1.0 \\" in text
    assert escape_latex("\\{~^<>}") == (
        r"\textbackslash{}\{\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\}"
    )
    assert escape_markdown("*`[x]`*") == r"\*\`\[x\]\`\*"


def test_csv_has_numbers_in_full() -> None:
    assert csv_of([["a,b", in_full(1 / 3), in_full(None)]]) == '"a,b",0.3333333333333333,\n'


def test_the_console_shows_words_left_and_numbers_right() -> None:
    table = GRID.rich()
    assert [column.justify for column in table.columns] == ["left", "right"]
    console = Console(width=80, record=True)
    console.print(table)
    assert "two lines" in console.export_text()
