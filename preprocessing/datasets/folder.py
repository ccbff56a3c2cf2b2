"""Any tree of videos with one folder per class."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal

from preprocessing.datasets.base import (
    Dataset,
    Listing,
    Shares,
    Video,
    printable,
    printed,
    split_named,
    video_files,
)
from preprocessing.errors import DataError
from preprocessing.schema import Rejection, Split


class Folder(Dataset):
    """Videos (mp4, webm, mkv, mov, avi, ts) below `root/<class>/` or `root/<split>/<class>/`.

    Videos outside a split's folder are divided by a hash of their file name: adding one moves no other.
    """

    name: Literal["folder"] = "folder"
    classes: tuple[str, ...] = ()
    """Class names in label order: folder names. Empty: all that hold a video, sorted."""
    shares: Shares = Shares()
    """Divides the videos that lie in no split's folder."""

    def listing(self) -> Listing:
        """Read the tree.

        Raises:
            ValueError: if it holds no video in a class folder.
        """
        first_roots: dict[Path, int] = {}
        rejected: list[Rejection] = []

        def reject(source: Path, reason: str, detail: str) -> None:
            rejected.append(
                Rejection(file=printable(source), split=self._split_of(source), reason=reason, detail=detail)
            )

        for source, number in video_files(self.roots):
            if printable(source) != str(source):
                reject(source, "bad_name", "the name is not UTF-8")
            elif (first := first_roots.setdefault(source, number)) != number:
                reject(source, "duplicate", f"root {first + 1} of {len(self.roots)} holds a file of this name")
        labelled = [(source, class_of(source)) for source in first_roots]
        classes = self.classes or tuple(sorted({name for _, name in labelled if name}))
        videos = tuple(
            Video(
                key=key_of(source),
                source=source,
                label=classes.index(name),
                class_name=name,
                split=self._split_of(source),
            )
            for source, name in labelled
            if name in classes
        )
        if not videos:
            raise DataError(
                f"dataset.root={printed(self.roots)} holds no video in a class folder ({len(labelled)} video files in "
                "all); expected <root>/<class>/<name>.mp4 or <root>/<split>/<class>/<name>.mp4"
            )
        return Listing(classes, videos, tuple(rejected), num_left_out=len(labelled) - len(videos))

    def _split_of(self, source: Path) -> Split:
        return split_named(source.parts[0]) or self.shares.split_of(source.name)


def class_of(path: Path) -> str:
    """The class folder of a path relative to the root; empty if it lies in none."""
    folders = path.parts[:-1]
    if folders and split_named(folders[0]):
        folders = folders[1:]
    return folders[0] if folders else ""


def key_of(path: Path) -> str:
    """A key from all of a path, so that equal file names in two classes stay apart.

    A path that is too long for a key, or that holds other signs than letters, digits, `-` and `_`, is shortened to them
    and ends in a hash of the whole.
    """
    name = "__".join(path.with_suffix("").parts)
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:64]
    return plain if plain == name else f"{plain}-{hashlib.sha256(bytes(path)).hexdigest()[:8]}"
