"""A list of one's own as a data set: which video has which label, and perhaps its split and its part."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pydantic_core
from pydantic import Field

from preprocessing.datasets.accounting import Ledger, require_videos_of_each, some
from preprocessing.datasets.base import Dataset, Listing, Shares, Video, printable, printed, proper
from preprocessing.datasets.entries import split_of_file, split_of_row
from preprocessing.datasets.folder import unique_keys
from preprocessing.datasets.leaks import Claim, refuse_leaks
from preprocessing.datasets.tables import Columns, Row, Table, named, read_table, read_text, shown
from preprocessing.datasets.tree import kind_of, scan
from preprocessing.errors import DataError, SettingsError
from preprocessing.schema import ListRead, Rejection, Split

COLUMNS = Columns(
    required={
        "path": ("path", "file", "file_name", "filename", "video", "video_path"),
        "label": ("label", "class", "class_name", "category", "label_name"),
    },
    optional={
        "split": ("split", "subset", "set", "partition"),
        "start": ("start", "start_seconds", "time_start", "start_time"),
        "end": ("end", "end_seconds", "time_end", "end_time"),
    },
    without_header=lambda cells: kind_of(cells["path"]) in ("video", "other_container") and bool(cells["label"]),
    expected="a header with the columns path, label and perhaps split, start, end, separated by ',', ';', tab or '|', "
    "or such rows without a header",
)


@dataclass(frozen=True)
class Listed:
    """A row of a list."""

    source: Path
    """Relative to the roots."""
    class_name: str
    split: Split | None
    start_seconds: float | None
    end_seconds: float | None
    where: str
    """File and line, for messages."""

    @property
    def part(self) -> tuple[Path, float | None]:
        """The same for rows that name the same clip."""
        return self.source, self.start_seconds


class VideoList(Dataset):
    """Videos that lists of one's own name: tables with the columns `path,label[,split][,start,end]`.

    A list is CSV or TSV in any dialect, JSON lines (`.jsonl`, `.ndjson`, or a JSON array of objects) or Parquet. Paths
    are relative to a root, or absolute inside one. A list whose name tells a split is of that split, unless its rows
    say. Of a row with `start` and `end` in seconds the middle of that part is kept, with `start` alone what begins
    there.
    """

    places: ClassVar[tuple[str, ...]] = ("root", "lists")

    name: Literal["list"] = "list"
    lists: tuple[Path, ...] = Field(min_length=1)
    """The lists; together they name every clip."""
    classes: tuple[str, ...] = ()
    """Labels in the order of their numbers. Empty: all that the lists name, sorted."""
    shares: Shares = Shares()
    """Divides the videos whose split no list tells."""

    def listing(self) -> Listing:
        """Read the lists, and hold them against the files of the roots.

        Raises:
            PlaceError: if a list cannot be read.
            DataError: if a row is broken or leads out of the roots, a video is put into two splits, or a class has no
                video.
        """
        tree = scan(self.roots)
        ledger = Ledger(tree)
        rows = [row for path in self.lists for row in self._rows(path, ledger)]
        classes = self._classes(rows)
        claims = (Claim(row.source.as_posix(), row.split, row.where) for row in rows if row.split)
        splits = refuse_leaks(claims, what="video")
        rows, rejected = once([row for row in rows if row.class_name in classes])
        used = {row.source for row in rows}
        for file in tree.files:
            if file.is_video and file.source not in used:
                ledger.leave_out(file.source, file.root, "not_listed")
        accounting = ledger.accounting("as listed")
        if not rows:
            raise DataError(f"dataset.lists={printed(self.lists)} names no video; expected {COLUMNS.expected}")
        require_videos_of_each(classes, accounting, Counter(row.class_name for row in rows))
        keys = unique_keys(sorted(used))
        drawn = self.shares.draw(
            (row.class_name, row.source.name) for row in rows if row.source.as_posix() not in splits
        )
        videos = tuple(
            Video(
                key=keys[row.source] if row.start_seconds is None else f"{keys[row.source]}_{milliseconds(row):08d}ms",
                source=row.source,
                label=classes.index(row.class_name),
                class_name=row.class_name,
                split=splits.get(row.source.as_posix()) or drawn[row.class_name, row.source.name],
                start_seconds=row.start_seconds,
                end_seconds=row.end_seconds,
            )
            for row in rows
        )
        return Listing(classes, videos, tuple(rejected), accounting)

    def _classes(self, rows: Sequence[Listed]) -> tuple[str, ...]:
        there = sorted({row.class_name for row in rows})
        wanted = tuple(map(proper, self.classes)) or tuple(there)
        if unknown := [name for name in wanted if name not in there]:
            near = difflib.get_close_matches(unknown[0], there, n=1)
            nearest = f", the nearest is '{near[0]}'" if near else ""
            raise SettingsError(
                f"dataset.classes: no row has the label '{unknown[0]}'{nearest}; there are: {some(there)}"
            )
        return wanted

    def _rows(self, path: Path, ledger: Ledger) -> list[Listed]:
        table = read_rows(path)
        split = split_of_file(path)
        rows = [self._row(row, split, f"'{path}' line {row.line}") for row in table.rows]
        num_used = sum(not self.classes or row.class_name in self.classes for row in rows)
        name, of_all = printable(path), len(rows)
        reason = f"{of_all - num_used:,} rows of other labels" if num_used < of_all else ""
        ledger.list_read(ListRead(file=name, read_as=table.read_as, num_rows=of_all, num_used=num_used, reason=reason))
        return rows

    def _row(self, row: Row, split_of_all: Split | None, where: str) -> Listed:
        cells = row.cells
        if not cells["path"] or not cells["label"]:
            raise DataError(f"{where}: path and label must not be empty, got {dict(cells)}")
        start, end = (self._seconds(cells[name], where) for name in ("start", "end"))
        if end is not None and end <= (start or 0.0):
            raise DataError(f"{where}: end must come after start, got {dict(cells)}")
        if end is not None and start is None:
            start = 0.0
        split = split_of_row(cells["split"], where) or split_of_all
        return Listed(self._source(cells["path"], where), proper(cells["label"]), split, start, end, where)

    def _seconds(self, cell: str, where: str) -> float | None:
        if not cell:
            return None
        try:
            found = float(cell.replace(",", "."))
        except ValueError as error:
            raise DataError(f"{where}: start and end must be seconds, got {cell!r}") from error
        if not 0 <= found < float("inf"):
            raise DataError(f"{where}: start and end must be seconds from 0 on, got {cell!r}")
        return found

    def _source(self, text: str, where: str) -> Path:
        """The path of a row, relative to the roots."""
        path = Path(text.replace("\\", "/"))
        for root in self.roots if path.is_absolute() else ():
            if path.is_relative_to(root.absolute()):
                path = path.relative_to(root.absolute())
        path = Path(os.path.normpath(path))
        if path.is_absolute() or path.parts[:1] == ("..",):
            raise DataError(
                f"{where}: '{text}' lies outside dataset.root={printed(self.roots)}: give the path relative to a root, "
                "or name its folder as a root too"
            )
        return path


def once(rows: Sequence[Listed]) -> tuple[list[Listed], list[Rejection]]:
    """Each clip once: rows that repeat one are dropped, and clips with several labels are left out."""
    same: dict[tuple[Path, float | None], list[Listed]] = {}
    for row in rows:
        same.setdefault(row.part, []).append(row)
    kept: list[Listed] = []
    rejected: list[Rejection] = []
    for group in same.values():
        if len({row.class_name for row in group}) == 1:
            kept.append(group[0])
            continue
        detail = ", ".join(f"'{row.class_name}' ({row.where})" for row in group)
        file, split = group[0].source.as_posix(), group[0].split or "train"
        rejected.append(Rejection(file=file, split=split, reason="several_classes", detail=detail))
    return kept, rejected


def milliseconds(row: Listed) -> int:
    """The start of a row's clip, which is a part of its key."""
    return round(1000 * (row.start_seconds or 0.0))


def read_rows(path: Path) -> Table:
    """The rows of a list of any form.

    Raises:
        PlaceError: if it cannot be read.
        DataError: if it is no such list; the message says what was expected, and in which line.
    """
    match path.suffix.lower():
        case ".parquet":
            return _of_parquet(path)
        case ".jsonl" | ".ndjson" | ".json":
            return _of_json(path)
        case _:
            return read_table(path, COLUMNS)


def _of_parquet(path: Path) -> Table:
    import pyarrow.lib  # takes half a second, which other lists are spared
    import pyarrow.parquet

    try:
        records = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.lib.ArrowException) as error:
        raise DataError(f"'{path}' cannot be read as Parquet: {error}") from error
    return Table("Parquet", tuple(_row_of(path, number, record) for number, record in enumerate(records, start=1)))


def _of_json(path: Path) -> Table:
    text = read_text(path)
    if text.text.lstrip().startswith("["):
        records = _parsed(path, 1, text.text)
        assert isinstance(records, list), "JSON that begins with a bracket is a list"
        rows = tuple(_row_of(path, number, record) for number, record in enumerate(records, start=1))
        return Table(f"JSON, {text.encoding}", rows)
    lines = [(number, line) for number, line in enumerate(text.text.splitlines(), start=1) if line.strip()]
    rows = tuple(_row_of(path, number, _parsed(path, number, line)) for number, line in lines)
    return Table(f"JSON lines, {text.encoding}", rows)


def _parsed(path: Path, line: int, text: str) -> object:
    try:
        return pydantic_core.from_json(text)
    except ValueError as error:
        raise DataError(
            f'\'{path}\' line {line}: expected {{"path": ..., "label": ...}}, got {shown(text)}: {error}'
        ) from error


def _row_of(path: Path, line: int, record: object) -> Row:
    """A record with named values as a row of the table."""
    found = {named(str(name)): value for name, value in record.items()} if isinstance(record, Mapping) else {}
    cells = {
        field: next((str(found[name]) for name in spellings if found.get(name) is not None), "")
        for field, spellings in (*COLUMNS.required.items(), *COLUMNS.optional.items())
    }
    if not isinstance(record, Mapping) or not COLUMNS.required.keys() <= {name for name, cell in cells.items() if cell}:
        raise DataError(f"'{path}' line {line}: expected 'path' and 'label', got {shown(str(record))}")
    return Row(line, cells)
