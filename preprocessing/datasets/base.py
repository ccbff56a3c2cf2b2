"""What a data set is: its labelled videos, read from a folder."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, field_validator

from preprocessing.schema import Rejection, Settings, Split

logger = logging.getLogger(__name__)

VIDEO_EXTENSIONS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".ts")


class Video(Settings):
    """One labelled video. It need not exist: a missing one is recorded as `missing_file` when its turn comes."""

    key: str = Field(pattern=r"^[A-Za-z0-9_-]{1,80}$")
    """Names the clip in the shards: the full file stem; unique over all splits, without a dot."""
    path: Path
    label: int = Field(ge=0)
    """Index of `class_name` in the data set's classes."""
    class_name: str
    split: Split
    start_seconds: float | None = None
    """Where the clip starts on the video clock; None keeps the middle of the video."""


@dataclass(frozen=True)
class Listing:
    """What a data set's folder and annotations hold."""

    classes: tuple[str, ...]
    videos: tuple[Video, ...]
    rejected: tuple[Rejection, ...] = ()
    """Files that cannot become a clip, whatever they hold: bad names and duplicates."""


class Shares(Settings):
    """How videos are divided where nothing else says which split they belong to."""

    validation: float = Field(default=0.1, ge=0, le=1)
    """Share of the videos in `validation`."""
    test: float = Field(default=0.1, ge=0, le=1)
    """Share of the videos in `test`; the rest is `train`."""

    @field_validator("test")
    @classmethod
    def _leaves_something_to_train(cls, test: float, info: object) -> float:
        validation = getattr(info, "data", {}).get("validation", 0.0)
        if validation + test >= 1:
            raise ValueError(f"validation={validation:g} and test={test:g} leave nothing to train: lower one of them")
        return test

    def split_of(self, name: str) -> Split:
        """The split of a name: the same on every machine and in every order, whatever other videos there are."""
        place = stable_fraction(name)
        if place < self.validation:
            return "validation"
        return "test" if place < self.validation + self.test else "train"


class Dataset(Settings):
    """A data set that can be preprocessed: settings that say how its folder is read.

    A new one is a subclass with its own literal `name` and a `listing`, and a name in the union of this folder.
    """

    name: str
    root: Path
    """Folder that holds the videos."""

    @abstractmethod
    def listing(self) -> Listing:
        """Read the folder and its annotations: the same for the same files, in the same order."""

    def videos(self) -> Iterator[Video]:
        """The labelled videos."""
        yield from self.listing().videos

    def prepare(self) -> None:
        """Make ready for `listing`.

        Raises:
            ValueError: if `root` is not a folder.
        """
        if not self.root.is_dir():
            raise ValueError(f"dataset.root='{self.root}' is not a folder; set it to the folder that holds the videos")


def video_files(root: Path) -> list[Path]:
    """All files below `root` with a video's extension, sorted, relative to `root`; hidden files are none."""
    return sorted(
        Path(folder, name).relative_to(root)
        for folder, _, names in os.walk(root)
        for name in names
        if not name.startswith(".") and name.lower().endswith(VIDEO_EXTENSIONS)
    )


def stable_fraction(text: str) -> float:
    """A number in [0, 1) that depends on nothing but `text`, evenly spread."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big") / 2**64


def split_named(name: str) -> Split | None:
    """The split that a folder or column value names: `train`, `val`, `validate`, `test`, `train_256` ... or None."""
    match re.sub(r"[_-]?\d+$", "", name.lower()):
        case "train" | "training":
            return "train"
        case "val" | "valid" | "validate" | "validation" | "dev":
            return "validation"
        case "test" | "testing" | "eval":
            return "test"
        case _:
            return None


def normalised(class_name: str) -> str:
    """A class name without what spellings differ in: case, underscores for spaces, and the signs `'`, `(`, `)`."""
    plain = re.sub(r"['’()\"]", "", class_name.replace("_", " ").replace("-", " "))
    return " ".join(plain.lower().split())


def printable(path: Path) -> str:
    """A path as text that can be written to any file, also if its name is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
