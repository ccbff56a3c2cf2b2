"""CSV that is safe to open: a spreadsheet takes no name in it for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets take a cell that begins so for a formula, which may start programs and fetch from elsewhere."""
HARMLESS = re.compile(r"[-+]?[\w./-]*(e[-+]?\d+)?")
"""Numbers and plain names: many ids of videos begin with a dash."""


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows of cells as CSV; a text that a spreadsheet would calculate has an apostrophe before it."""
    return "".join(map(_line, rows))


def csv_rows(text: str) -> Iterator[dict[str | None, object]]:
    """The rows of such a CSV by column, as they were before; whoever wrote it may have left out cells or added some.

    Raises:
        ValueError: if it is no CSV, or a cell is larger than any should be.
    """
    try:
        for row in csv.DictReader(io.StringIO(text, newline="")):
            yield {name: _unguarded(cell) for name, cell in row.items()}
    except csv.Error as error:
        raise ValueError(str(error)) from error


def _line(row: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(map(_guarded, row))  # it quotes the characters that lines end with
    return text.getvalue().removesuffix("\r\n") + "\n"


def _guarded(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    begins = cell.lstrip("'")
    is_formula = begins.startswith(FORMULA) and (begins != cell or not HARMLESS.fullmatch(cell))
    return f"'{cell}" if is_formula else cell


def _unguarded(cell: object) -> object:
    is_guarded = isinstance(cell, str) and cell.startswith("'") and cell.lstrip("'").startswith(FORMULA)
    return cell[1:] if isinstance(cell, str) and is_guarded else cell
