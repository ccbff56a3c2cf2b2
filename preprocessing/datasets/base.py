"""A data set: labelled videos, read from one folder or several."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import unicodedata
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from preprocessing.errors import PlaceError
from preprocessing.schema import Accounting, Key, Rejection, Split
from preprocessing.settings import Settings


class Video(Settings):
    """One labelled video. It need not exist: a missing one is recorded as `missing_file` when its turn comes."""

    key: Key
    """Names the clip in the shards: the full file stem; unique over all splits, without a dot."""
    source: Path
    """Relative to the data set's roots: the first of them that has it is meant."""
    label: int = Field(ge=0)
    """Index of `class_name` in the data set's classes."""
    class_name: str
    split: Split
    start_seconds: float | None = None
    """Start of the clip on the video clock; None keeps the middle of the video."""
    end_seconds: float | None = None
    """End of the part of the video, begun at `start_seconds`, whose middle is kept; None: the clip begins there."""


@dataclass(frozen=True)
class Listing:
    """The contents of a data set's folders and annotations."""

    classes: tuple[str, ...]
    videos: tuple[Video, ...]
    rejected: tuple[Rejection, ...] = ()
    """Files that cannot become a clip, whatever they hold: bad names, duplicates, containers that are not read."""
    accounting: Accounting = field(default_factory=Accounting)
    """All that was seen, against what is used: also what is only counted, as files of classes that are not chosen."""


class Shares(Settings):
    """Fractions by which videos are divided where nothing else says which split they belong to."""

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

    def draw(self, videos: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Split]:
        """The split of each video, given as its class and its name.

        It is that of its name, except in a class in which that leaves a wanted split empty though there are videos
        enough for one each: there the videos are divided by rank in the order of the same numbers.
        """
        classes: dict[str, set[str]] = {}
        for class_name, name in videos:
            classes.setdefault(class_name, set()).add(name)
        return {
            (class_name, name): split
            for class_name, names in classes.items()
            for name, split in self._draw_class(names).items()
        }

    def _draw_class(self, names: set[str]) -> dict[str, Split]:
        splits = {name: self.split_of(name) for name in names}
        wanted = {"train"} | {split for split in ("validation", "test") if getattr(self, split)}
        if wanted <= set(splits.values()) or len(names) < len(wanted):
            return splits
        counts = {split: max(round(getattr(self, split) * len(names)), 1) for split in wanted - {"train"}}
        while sum(counts.values()) >= len(names):
            counts[max(sorted(counts), key=counts.__getitem__)] -= 1
        first, second = counts.get("validation", 0), counts.get("test", 0)
        ordered = sorted(names, key=lambda name: (stable_fraction(name), name))
        return {
            name: "validation" if rank < first else "test" if rank < first + second else "train"
            for rank, name in enumerate(ordered)
        }


class Dataset(Settings):
    """A data set that can be preprocessed: settings that say how its folders are read.

    A new one is a subclass with its own literal `name` and a `listing`, and a name in the union of this folder.
    """

    places: ClassVar[tuple[str, ...]] = ("root",)
    """The settings that name files and folders: where they lie decides nothing, only what they hold."""
    readings: ClassVar[tuple[str, ...]] = ()
    """The settings that say how folders are read: what follows from them is told clip by clip in the plan."""

    name: str
    root: Path | tuple[Path, ...]
    """Folder that holds the videos, or several: [/disk1/videos, /disk2/videos] are read as one tree."""

    @field_validator("root", mode="before")
    @classmethod
    def _one_folder_or_several(cls, root: object) -> object:
        several = root if isinstance(root, list | tuple) else [root]
        if not several or not all(isinstance(each, str | Path) for each in several):
            raise ValueError(f"got {root!r}; allowed: a folder, or several as [DIR, DIR]")
        return root

    @property
    def roots(self) -> tuple[Path, ...]:
        """All folders that hold videos; at one relative path, the first one's file counts."""
        return self.root if isinstance(self.root, tuple) else (self.root,)

    @abstractmethod
    def listing(self) -> Listing:
        """Read the folders and annotations: the same for the same files, in the same order."""

    def videos(self) -> Iterator[Video]:
        """The labelled videos."""
        yield from self.listing().videos

    def prepare(self) -> None:
        """Make ready for `listing`.

        Raises:
            ValueError: if a root is not a folder, or lies inside another one.
        """
        problems = [f"'{root}' is not a folder" for root in self.roots if not root.is_dir()]
        real = [root.resolve() for root in self.roots]
        problems += [
            f"'{self.roots[inner]}' lies inside '{self.roots[outer]}'"
            for inner, outer in itertools.permutations(range(len(real)), 2)
            if real[inner].is_relative_to(real[outer])
        ]
        if problems:
            raise PlaceError(
                f"dataset.root: {'; '.join(problems)}; set it to the folder that holds the videos, or to several apart"
            )


class Locator:
    """Finds many videos below the same roots: each folder is resolved once, and what changes meanwhile is not seen."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = [(root, os.path.realpath(root)) for root in roots]
        self._real_folders: dict[str, str] = {}

    def locate(self, source: str) -> tuple[Path, Path]:
        """Find a video, and the root it lies in: the first one that has its path `source`, or else the first one.

        A link that leads from one root into another is followed.
        """
        root, real_root = next((each for each in self._roots if os.path.lexists(f"{each[0]}/{source}")), self._roots[0])
        real = self._real(f"{root}/{source}")
        if not _is_below(real, real_root):
            for other, real_other in self._roots:
                if _is_below(real, real_other):
                    return Path(real), other
        return root / source, root

    def _real(self, path: str) -> str:
        """The same as `os.path.realpath`."""
        folder, name = os.path.split(path)
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(folder)
        inside = f"{self._real_folders[folder]}/{name}"
        is_link = os.path.islink(inside)  # noqa: PTH114  # a Path for each of 100,000 files would cost seconds
        return os.path.realpath(inside) if is_link or name == os.pardir else inside


def locate(source: str, roots: Sequence[Path]) -> tuple[Path, Path]:
    """Find one video, and the root it lies in, see `Locator`."""
    return Locator(roots).locate(source)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


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


def proper(folder: str) -> str:
    """A class's name as a folder tells it, however its accents are stored and whatever spaces stand around it."""
    return unicodedata.normalize("NFC", folder).strip()


def normalised(class_name: str) -> str:
    """A class name without what spellings differ in: case, underscores for spaces, and the signs `'`, `(`, `)`."""
    plain = re.sub(r"['’()\"]", "", class_name.replace("_", " ").replace("-", " "))
    return " ".join(plain.lower().split())


def printable(path: Path) -> str:
    """A path as text that can be written to any file, also if its name is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def printed(roots: Sequence[Path]) -> str:
    """Roots the way a user writes them."""
    names = [f"'{root}'" for root in roots]
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"
