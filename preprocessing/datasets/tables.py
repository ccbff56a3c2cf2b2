"""A table from a text file in any dialect: encoding, separator and header are found, and told.

Nothing is guessed from frequencies: an encoding is what a byte order mark says, else UTF-8 if the bytes are, else
Latin-1, and a separator is the one with which the header has the columns that are looked for.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from preprocessing.errors import DataError, PlaceError
from preprocessing.storage.parsing import read_regular

SEPARATORS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
"""Byte order marks, Python's name of their encoding, and its usual one; that of UTF-32 begins like UTF-16's."""
LOOKED_AT_BYTES = 4096
MAX_LIST_BYTES = 1 << 30
MOST_SHOWN = 120
"""Characters of a line that a message shows."""

Cells = Mapping[str, str]


@dataclass(frozen=True)
class Text:
    """The text of a file, and the encoding it was read in."""

    text: str
    encoding: str


@dataclass(frozen=True)
class Columns:
    """The columns that are looked for: by field, the spellings of its column as `named` makes them."""

    required: Mapping[str, tuple[str, ...]]
    optional: Mapping[str, tuple[str, ...]]
    without_header: Callable[[Cells], bool]
    """True for the cells of a first row that is data: fields in the order required, optional."""
    expected: str
    """The table in words, for messages."""

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields, in the order in which a table without a header has them."""
        return (*self.required, *self.optional)


@dataclass(frozen=True)
class Row:
    """A row of a table: its cells by field, without spaces around them; empty where there is none."""

    line: int
    cells: Cells


@dataclass(frozen=True)
class Table:
    """A table, and how it was read."""

    read_as: str
    """Such as `CSV with ';', UTF-16, no header`."""
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class _Form:
    """The form of a table: its separator, the place of each field, and the lines before its first row."""

    separator: str
    places: Mapping[str, int]
    first_row: int
    """Index of the first line of data."""
    num_cells: int
    """Cells of a row: those of the header, or of the first row."""
    has_header: bool


class OtherTableError(DataError):
    """A file that has none of the columns, or too few, to be the table that is looked for."""

    def __init__(self, message: str, num_columns: int = 0, first_line: str = "") -> None:
        super().__init__(message, num_columns, first_line)
        self.num_columns = num_columns
        """Columns of it that were found."""
        self.first_line = first_line

    def __str__(self) -> str:
        return str(self.args[0])


def read_text(path: Path) -> Text:
    """The text of a file, whatever its encoding.

    Raises:
        PlaceError: if it cannot be read.
        DataError: if it is not in the encoding that its first bytes tell, or larger than any list should be.
    """
    try:
        data = read_regular(path, max_bytes=MAX_LIST_BYTES)
    except FileNotFoundError as error:
        raise PlaceError(f"'{path}' does not exist") from error
    except OSError as error:
        raise PlaceError(f"'{path}' cannot be read: {error.strerror}") from error
    for mark, encoding, name in (*MARKS, *_unmarked(data)):
        if data.startswith(mark):
            try:
                return Text(data.decode(encoding).lstrip("\ufeff"), name)
            except UnicodeDecodeError as error:
                raise DataError(f"'{path}' begins like a text in {name}, and is none: {error}") from error
    try:
        return Text(data.decode("utf-8"), "UTF-8")
    except UnicodeDecodeError:
        return Text(data.decode("latin-1"), "Latin-1")


def _unmarked(data: bytes) -> Sequence[tuple[bytes, str, str]]:
    """UTF-16 without a mark: every other byte of a text in Latin letters is zero."""
    head = data[:LOOKED_AT_BYTES]
    odd, even = head[1::2], head[::2]
    if odd and odd.count(0) > 0.7 * len(odd):
        return ((b"", "utf-16-le", "UTF-16"),)
    return ((b"", "utf-16-be", "UTF-16"),) if even and even.count(0) > 0.7 * len(even) else ()


def read_table(path: Path, columns: Columns) -> Table:
    """The rows of a table.

    A header is found in any order, case and spelling; comment lines begin with `#`; an empty line says nothing.

    Raises:
        PlaceError: if the file cannot be read.
        OtherTableError: if it is another table, or none.
        DataError: if a row has fewer cells than the header, more that are not empty, or an unclosed quote; the message
            names file and line.
    """
    text = read_text(path)
    lines = re.split(r"\r\n|\n|\r", text.text)
    form = _form(path, lines, columns)
    data = ["" if line.startswith("#") else line for line in lines[form.first_row :]]
    reader = csv.reader((f"{line}\n" for line in data), delimiter=form.separator, skipinitialspace=True)
    rows: list[Row] = []
    started = form.first_row + 1
    for raw in reader:
        cells = [bare(cell) for cell in raw]
        if any(cells):
            _refuse_torn(path, started, raw, form)
            rows.append(Row(started, dict.fromkeys(columns.fields, "") | _by_field(cells, form.places)))
        started = form.first_row + reader.line_num + 1
    kind = "TSV" if form.separator == "\t" else f"CSV with {SEPARATORS[form.separator]}"
    return Table(", ".join([kind, text.encoding, *([] if form.has_header else ["no header"])]), tuple(rows))


def named(header: str) -> str:
    """The name of a column without case, signs and spaces: `Start Time (s)` is `start_time_s`."""
    return "_".join(re.findall(r"[a-z0-9]+", bare(header).lower()))


def bare(cell: str) -> str:
    """A cell without spaces and without a pair of quotes around it."""
    cell = cell.strip()
    return cell[1:-1].strip() if len(cell) > 1 and cell[0] == cell[-1] and cell[0] in "'\"" else cell


def shown(line: str) -> str:
    """The beginning of a line, for a message."""
    return repr(line if len(line) <= MOST_SHOWN else f"{line[:MOST_SHOWN]}...")


def _by_field(cells: Sequence[str], places: Mapping[str, int]) -> dict[str, str]:
    return {name: cells[at] if at < len(cells) else "" for name, at in places.items()}


def _refuse_torn(path: Path, line: int, cells: Sequence[str], form: _Form) -> None:
    where = f"'{path}' line {line}"
    if any("\n" in cell for cell in cells):
        raise DataError(f"{where}: a quote that is opened there is not closed in the same line: {shown(cells[0])}")
    surplus = [cell for cell in cells[form.num_cells :] if bare(cell)]
    if (len(cells) < form.num_cells and max(form.places.values()) >= len(cells)) or surplus:
        expected = f"{form.num_cells} cells separated by {SEPARATORS[form.separator]}"
        raise DataError(
            f"{where}: expected {expected}{' as in the header' if form.has_header else ''}, got {len(cells)}: "
            f"{shown(form.separator.join(cells))}"
        )


def _form(path: Path, lines: Sequence[str], columns: Columns) -> _Form:
    """Find separator, header and first row in the first lines: comments, and the first line that is none."""
    best = 0
    first = ""
    for index, line in enumerate(lines):
        if not line.strip() or re.fullmatch(r"sep=.", line.strip(), re.IGNORECASE):
            continue
        first = first or line
        for separator in SEPARATORS:
            names = [named(cell) for cell in _cells(line.lstrip("#"), separator)]
            places = _places(names, columns)
            if columns.required.keys() <= places.keys():
                return _Form(separator, places, index + 1, len(names), has_header=True)
            best = max(best, len(places))
        if line.startswith("#"):
            continue
        for separator in SEPARATORS:
            cells = [bare(cell) for cell in _cells(line, separator)]
            places = {name: at for at, name in enumerate(columns.fields) if at < len(cells)}
            if len(columns.required) <= len(cells) and columns.without_header(_by_field(cells, places)):
                return _Form(separator, places, index, len(cells), has_header=False)
        first = line
        break
    raise OtherTableError(
        f"'{path}' line 1: expected {columns.expected}; got {shown(first)}", num_columns=best, first_line=first
    )


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])


def _places(names: Sequence[str], columns: Columns) -> dict[str, int]:
    """Places of the columns by field: of several spellings the first that there is."""
    found: dict[str, int] = {}
    for name, spellings in (*columns.required.items(), *columns.optional.items()):
        if spelling := next((each for each in spellings if each in names), None):
            found[name] = names.index(spelling)
    return found
