"""Entries of annotation and split files, what a list of them gives, and the names of clips."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from preprocessing.datasets.base import printable, split_named
from preprocessing.errors import DataError
from preprocessing.schema import ListRead, Split

YOUTUBE_ID = re.compile("[A-Za-z0-9_-]{11}")
NAME = re.compile(r"(?P<id>[A-Za-z0-9_-]{11})(_(?P<start>\d{6})_(?P<end>\d{6}))?")
"""A YouTube id, which may begin with and hold any of `-` and `_`, and perhaps the seconds that were cut out of it."""


@dataclass(frozen=True)
class Entry:
    """One clip of a list.

    Raises:
        ValueError: if its id is no YouTube id; the message says where it stands.
    """

    youtube_id: str
    times: tuple[int, int] | None
    """Start and end of the clip in its YouTube video in seconds, where the list tells them."""
    class_name: str
    split: Split | None
    where: str
    """File and line, for messages."""

    def __post_init__(self) -> None:
        if not YOUTUBE_ID.fullmatch(self.youtube_id):
            raise DataError(f"{self.where}: {self.youtube_id!r} is no YouTube id, which has 11 letters, digits, - or _")

    @property
    def key(self) -> str:
        """The clip's name as far as the list knows it."""
        return clip_name(self.youtube_id, self.times)


@dataclass(frozen=True)
class Annotations:
    """The entries of an annotation file, and what was made of the file."""

    entries: tuple[Entry, ...]
    read: ListRead


def passed_over(path: Path, reason: str) -> Annotations:
    """A file that is no annotation file."""
    return Annotations((), ListRead(file=printable(path), read_as="", num_rows=0, num_used=0, reason=reason))


def list_files(roots: Sequence[Path], endings: Sequence[str]) -> list[Path]:
    """The files with one of these endings, in any case, in the roots and in their folders `annotations`."""
    folders = (folder for root in roots for folder in (root, root / "annotations") if folder.is_dir())
    return [
        path
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file()
    ]


def seconds(start: str, end: str, *, where: str, row: Mapping[str, str]) -> tuple[int, int]:
    """Start and end of a clip in whole seconds; a comma may stand for the decimal point.

    Raises:
        DataError: if they are no numbers, or the end does not come after the start.
    """
    try:
        first, last = (int(float(each.replace(",", "."))) for each in (start, end))
    except (ValueError, OverflowError) as error:
        raise DataError(f"{where}: times must be numbers of seconds, got {dict(row)}") from error
    if not 0 <= first < last:
        raise DataError(f"{where}: a clip must start at 0 s or later and end after its start, got {dict(row)}")
    return first, last


def split_of_row(cell: str, where: str) -> Split | None:
    """The split that a cell names; None if it is empty.

    Raises:
        DataError: if it names something else.
    """
    if cell and split_named(cell) is None:
        raise DataError(f"{where}: split '{cell}'; allowed: train, val, test (in other spellings, too), or nothing")
    return split_named(cell)


def clip_name(youtube_id: str, times: tuple[int, int] | None) -> str:
    """The name of a clip's file without its extension."""
    return youtube_id if times is None else f"{youtube_id}_{times[0]:06d}_{times[1]:06d}"


def named_clip(name: str) -> re.Match[str] | None:
    """The parts of a clip's name: groups `id`, `start` and `end`; None if it is no such name."""
    match = NAME.fullmatch(name)
    return match if match and int(match["end"] or 1) > int(match["start"] or 0) else None


def split_of_file(path: Path) -> Split | None:
    """The split that a word of a list's file name tells; None if none does, or two disagree."""
    found = {split for word in re.split("[^a-z]", path.stem.lower()) if (split := split_named(word))}
    return found.pop() if len(found) == 1 else None
