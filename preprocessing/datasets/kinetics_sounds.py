"""Kinetics-Sounds in the layouts found in the wild: flat folders with annotation files, and one folder per class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from preprocessing.datasets.base import printable
from preprocessing.datasets.class_lists import ClassList, all_classes
from preprocessing.datasets.entries import (
    YOUTUBE_ID,
    Annotations,
    Entry,
    list_files,
    passed_over,
    seconds,
    split_of_file,
    split_of_row,
)
from preprocessing.datasets.split_files import is_split_line
from preprocessing.datasets.tables import Cells, Columns, OtherTableError, read_table
from preprocessing.datasets.youtube import YouTubeDataset
from preprocessing.errors import DataError
from preprocessing.schema import ListRead

ENDINGS = (".csv", ".tsv")
COLUMNS = Columns(
    required={
        "label": ("label", "label_name", "class", "class_name", "category"),
        "id": ("youtube_id", "video_id", "id", "ytid", "youtube_key"),
        "start": ("time_start", "start_time", "start", "start_seconds", "start_s", "start_time_s"),
        "end": ("time_end", "end_time", "end", "end_seconds", "end_s", "end_time_s"),
    },
    optional={"split": ("split", "subset", "set", "partition")},
    without_header=lambda cells: _is_row(cells),
    expected="a header with the columns label, youtube_id, time_start, time_end and perhaps split, separated by ',', "
    "';', tab or '|', or such rows without a header",
)
ENOUGH_COLUMNS = 2
"""Columns by which a table is known to be meant, though others are missing."""


class KineticsSounds(YouTubeDataset):
    """Kinetics-Sounds, or any part of it, as downloaded: `<11-character id>_<start:06d>_<end:06d>.mp4`, .mkv or .webm.

    Files may lie flat, in folders per split, in folders per class, or both; annotation files name the label of flat
    ones: CSV or TSV with the columns label, youtube_id, time_start, time_end and split, or one file per split, named
    after it. Where both speak, the annotation wins. Annotated clips without a file are counted as `missing_file`. Files
    named by the id alone count if a list names them.
    """

    class_lists: ClassVar[tuple[str, ...]] = ("ks27", "ks31", "ks34")
    unlisted_need_times: ClassVar[bool] = True
    numbered_list: ClassVar[str | None] = "ks31"
    expected_files: ClassVar[str] = (
        "<id>_<start:06d>_<end:06d>.mp4 in folders named after their class, or flat with an annotation CSV "
        "(label,youtube_id,time_start,time_end,split) beside them"
    )

    name: Literal["kinetics_sounds"] = "kinetics_sounds"
    classes: str | tuple[str, ...] = "ks31"
    """`ks31` (CRMT, OGM-GE), `ks27` (Tian and Xu), `ks34` (the original paper), or class names in label order; labels
    never depend on which files there are."""

    def annotation_files(self) -> Sequence[Path]:
        """The CSV and TSV files in the roots and in their folders `annotations`."""
        return list_files(self.roots, ENDINGS)

    def read_annotations(self, path: Path) -> Annotations:
        """The rows of a table with a known label; a column `split` wins over the file's name.

        A table of something else is passed over, unless the settings or its name tell that it is meant.

        Raises:
            PlaceError: if the file is missing.
            DataError: if it is meant and is no such table, or a row of it is broken; the message names the line.
        """
        known = all_classes(self.class_lists)
        try:
            table = read_table(path, COLUMNS)
        except OtherTableError as error:
            if is_split_line(error.first_line) and path not in self.annotations:
                return passed_over(path, "a split file: dataset.split_files=[...] would use it")
            is_meant = path in self.annotations or split_of_file(path) or error.num_columns >= ENOUGH_COLUMNS
            if is_meant and error.first_line:
                raise DataError(f"dataset.annotations: {error}") from error
            return passed_over(path, "another table" if error.first_line else "empty")
        split_of_all = split_of_file(path)
        entries: list[Entry] = []
        unknown: list[str] = []
        for row in table.rows:
            where = f"'{path.name}' line {row.line}"
            class_name = known.find(row.cells["label"])
            if class_name is None:
                unknown.append(row.cells["label"])
                continue
            times = seconds(row.cells["start"], row.cells["end"], where=where, row=row.cells)
            split = split_of_row(row.cells["split"], where) or split_of_all
            entries.append(Entry(row.cells["id"], times, class_name, split, where))
        reason = f"{len(unknown):,} rows of other classes, such as {unknown[0]!r}" if unknown else ""
        read = ListRead(
            file=printable(path), read_as=table.read_as, num_rows=len(table.rows), num_used=len(entries), reason=reason
        )
        return Annotations(tuple(entries), read)


def _is_row(cells: Cells) -> bool:
    known: ClassList = all_classes(KineticsSounds.class_lists)
    is_named = YOUTUBE_ID.fullmatch(cells["id"]) and known.find(cells["label"])
    return bool(is_named) and all(cells[name].replace(".", "").isdigit() for name in ("start", "end"))
