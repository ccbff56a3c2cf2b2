"""Tables that can be read back: no name breaks them."""

from __future__ import annotations

import csv
import io
import re

import pytest
from rich.console import Console

from evaluation.comparison import tables
from evaluation.comparison.result import Comparison
from evaluation.reporting.grid import escape_latex
from tests.evaluation.comparison.conftest import AWKWARD

SHOWN = [" ".join(name.split()) for name in AWKWARD]
LATEX = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
} | {rf"\{character}": character for character in "{}&%$#_"}


def from_latex(text: str) -> str:
    pattern = "|".join(map(re.escape, LATEX))
    return re.sub(pattern, lambda match: LATEX[match[0]], text).strip()


def latex_tables(text: str) -> list[list[list[str]]]:
    """The cells of every tabular: rows end in two backslashes, and an `&` that is not escaped parts cells."""
    found = []
    for body in re.findall(r"\\begin\{tabular\}\{[lr]+\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        lines = [line.strip() for line in body.splitlines() if line.strip().endswith(r"\\")]
        found.append([[from_latex(cell) for cell in re.split(r"(?<!\\)&", line[:-2])] for line in lines])
    return found


def test_latex_is_read_back_with_every_name(awkward: Comparison) -> None:
    accuracies, differences = latex_tables(tables.latex(awkward))
    assert accuracies[0] == ["", *SHOWN]
    assert [row[0] for row in accuracies[1:]] == [*awkward.measures, "rank in the worst case"]
    assert {len(row) for row in accuracies} == {4}
    assert {len(row) for row in differences} == {7}
    assert len(differences) == 1 + awkward.num_comparisons
    assert differences[1][0] == f"{SHOWN[1]} - {SHOWN[0]}"


def test_latex_names_its_package_and_its_rules(awkward: Comparison) -> None:
    text = tables.latex(awkward)
    assert "\\usepackage{booktabs}" in text.splitlines()[0]
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(rf"\{rule}") == 2


@pytest.mark.parametrize("name", AWKWARD)
def test_escaped_text_is_itself_again(name: str) -> None:
    assert from_latex(escape_latex(name)) == " ".join(name.split())


def test_csv_is_read_back_in_full(awkward: Comparison) -> None:
    """Names keep their line breaks, numbers every digit; a withheld number is empty."""
    rows = list(csv.DictReader(io.StringIO(tables.accuracies_csv(awkward))))
    assert [row["method"] for row in rows[:: len(awkward.measures)]] == list(AWKWARD)
    for row in rows:
        found = awkward.methods[row["method"]].estimate(row["measure"])
        if found is None:
            assert (row["accuracy"], row["low"], row["high"]) == ("", "", "")
        else:
            assert (float(row["accuracy"]), float(row["low"]), float(row["high"])) == (found.value, *found.interval)
    rows = list(csv.DictReader(io.StringIO(tables.differences_csv(awkward))))
    differences = [each for pair in awkward.pairs() for each in pair.differences]
    assert [float(row["corrected_p"]) for row in rows] == [each.corrected_p_value for each in differences]
    assert [row["over"] for row in rows] == [each.over for each in differences]


def test_markdown_has_a_cell_for_each_heading(awkward: Comparison) -> None:
    text = tables.markdown(awkward)
    for block in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
        lines = block.strip().splitlines()
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert r"std\_50%" in text
    assert r"\<ü\>" in text
    assert "withheld and not ranked: fog" in text


def test_the_console_shows_both_tables_and_the_findings(
    awkward: Comparison, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    tables.print_tables(awkward)
    text = capsys.readouterr().out
    for words in (*SHOWN, "no attack", "pgd-5 margin", "worst case", "withheld", "not ranked", "sd 10.0"):
        assert words in text
    assert "10.0 (0.0 to" in text
    assert "was trained once" in text


def test_a_narrow_console_loses_nothing(awkward: Comparison) -> None:
    console = Console(width=60)
    with console.capture() as capture:
        console.print(tables.accuracies(awkward).rich())
    assert "withheld" in capture.get()
