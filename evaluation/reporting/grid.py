"""A table of text: for the console, as Markdown, as LaTeX and as CSV."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from preprocessing.reporting.csv_text import csv_text
from preprocessing.reporting.table import FoldedTable
from preprocessing.reporting.terminal import printable

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


@dataclass(frozen=True)
class Grid:
    """A table of text."""

    title: str
    headings: tuple[str, ...]
    """One per column."""
    rows: tuple[tuple[str, ...], ...]
    """Each with as many cells."""
    words: tuple[int, ...] = (0,)
    """Columns of words, which stand at the left; those of numbers stand at the right."""

    def aligned(self, *, left: str, right: str) -> list[str]:
        """The mark of every column: `left` for words, `right` for numbers."""
        return [left if number in self.words else right for number in range(len(self.headings))]

    def markdown(self) -> str:
        """The table as Markdown, below its title."""
        lines = [
            map(escape_markdown, self.headings),
            self.aligned(left=":---", right="---:"),
            *(map(escape_markdown, row) for row in self.rows),
        ]
        return f"**{escape_markdown(self.title)}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def latex(self) -> str:
        """The table for LaTeX with the package booktabs."""

        def line(cells: Sequence[str]) -> str:
            return " & ".join(map(escape_latex, cells)) + r" \\"

        return "\n".join(
            [
                r"\begin{table}",
                r"  \centering",
                rf"  \caption{{{escape_latex(self.title)}}}",
                rf"  \begin{{tabular}}{{{''.join(self.aligned(left='l', right='r'))}}}",
                r"    \toprule",
                f"    {line(self.headings)}",
                r"    \midrule",
                *(f"    {line(row)}" for row in self.rows),
                r"    \bottomrule",
                r"  \end{tabular}",
                r"\end{table}",
                "",
            ]
        )

    def rich(self) -> Table:
        """The table for the console."""
        table = FoldedTable(title=Text(self.title), title_justify="left")
        for number, heading in enumerate(self.headings):
            table.add_column(Text(one_line(heading)), justify="left" if number in self.words else "right")
        for row in self.rows:
            table.add_row(*(Text(one_line(cell)) for cell in row))
        return table


def latex_of(grids: Sequence[Grid]) -> str:
    """Tables one after the other, and the package they need."""
    return "% needs \\usepackage{booktabs}\n" + "\n".join(grid.latex() for grid in grids)


def csv_of(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells as CSV."""
    return csv_text([map(printable, line) for line in lines])


def in_full(value: int | float | None) -> str:
    """A number with all its digits; nothing where there is none."""
    return "" if value is None else repr(value)


def escape_latex(text: str) -> str:
    """Text as LaTeX shows it; line breaks become spaces."""
    return re.sub(r"[\\{}&%$#_~^<>|]", lambda match: _LATEX[match[0]], one_line(text))


def escape_markdown(text: str) -> str:
    """Text as Markdown shows it, in a cell of a table too; line breaks become spaces."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", one_line(text))


def one_line(text: str) -> str:
    """Text that can be shown, without line breaks, which become spaces."""
    return printable(" ".join(text.split()))
