"""Any tree of videos with one folder per class."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal

from preprocessing.datasets.base import Dataset, Listing, Shares, Video, split_named, video_files


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
        labelled = [(path, class_of(path)) for path in video_files(self.root)]
        classes = self.classes or tuple(sorted({name for _, name in labelled if name}))
        videos = tuple(
            Video(
                key=key_of(path),
                path=self.root / path,
                label=classes.index(name),
                class_name=name,
                split=split_named(path.parts[0]) or self.shares.split_of(path.name),
            )
            for path, name in labelled
            if name in classes
        )
        if not videos:
            raise ValueError(
                f"dataset.root='{self.root}' holds no video in a class folder ({len(labelled)} video files in all); "
                "expected <root>/<class>/<name>.mp4 or <root>/<split>/<class>/<name>.mp4"
            )
        return Listing(classes, videos)


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
