"""Kinetics-Sounds in the layouts found in the wild: flat folders with annotation files, and one folder per class."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from preprocessing.datasets.base import split_named
from preprocessing.datasets.class_lists import all_classes
from preprocessing.datasets.entries import Entry, split_of_file
from preprocessing.datasets.youtube import YouTubeDataset
from preprocessing.errors import DataError, PlaceError

COLUMNS = {
    "label": ("label", "label-name"),
    "id": ("youtube_id", "video-id"),
    "start": ("time_start", "start-time"),
    "end": ("time_end", "end-time"),
}


class KineticsSounds(YouTubeDataset):
    """Kinetics-Sounds, or any part of it, as downloaded: `<11-character id>_<start:06d>_<end:06d>.mp4`, .mkv or .webm.

    Files may lie flat, in folders per split, in folders per class, or both; annotation files name the label of flat
    ones: CSV with the columns label, youtube_id, time_start, time_end and split, or one file per split, named after it.
    Where both speak, the annotation wins. Annotated clips without a file are counted as `missing_file`. Files named by
    the id alone count if a list names them.
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
        """The CSV files in the roots and in their folders `annotations`."""
        folders = (folder for root in self.roots for folder in (root, root / "annotations"))
        return [path for folder in folders for path in sorted(folder.glob("*.csv"))]

    def read_annotations(self, path: Path) -> Iterator[Entry]:
        """The rows of a CSV file with a known label; none if it has other columns. A column `split` wins over the name.

        Raises:
            ValueError: if the file is missing or a row's times are not numbers.
        """
        if not path.is_file():
            raise PlaceError(f"dataset.annotations: '{path}' does not exist")
        known, split_of_all = all_classes(self.class_lists), split_of_file(path)
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            names = {
                field: next((name for name in spellings if name in (rows.fieldnames or ())), "")
                for field, spellings in COLUMNS.items()
            }
            if not all(names.values()):
                return
            for row in rows:
                class_name = known.find(row[names["label"]] or "")
                if class_name is None:
                    continue
                try:
                    start, end = (int(float(row[names[field]])) for field in ("start", "end"))
                except (TypeError, ValueError) as error:
                    raise DataError(f"'{path}' line {rows.line_num}: times must be numbers, got {row}") from error
                split = split_named(row.get("split") or "") or split_of_all
                where = f"'{path.name}' line {rows.line_num}"
                yield Entry(row[names["id"]], (start, end), class_name, split, where)
