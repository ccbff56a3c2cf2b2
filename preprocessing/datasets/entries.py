"""Entries of annotation and split files, and the names of clips."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from preprocessing.datasets.base import split_named
from preprocessing.errors import DataError
from preprocessing.schema import Split

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
        if not re.fullmatch("[A-Za-z0-9_-]{11}", self.youtube_id):
            raise DataError(f"{self.where}: {self.youtube_id!r} is no YouTube id, which has 11 letters, digits, - or _")

    @property
    def key(self) -> str:
        """The clip's name as far as the list knows it."""
        return clip_name(self.youtube_id, self.times)


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
