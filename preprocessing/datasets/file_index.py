"""An index of the video files below a data set's roots, by what their names and folders say."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from preprocessing.datasets.accounting import Ledger
from preprocessing.datasets.base import printable, split_named
from preprocessing.datasets.class_lists import ClassList
from preprocessing.datasets.entries import clip_name, named_clip
from preprocessing.datasets.tree import Tree, TreeFile, scan
from preprocessing.errors import DataError
from preprocessing.schema import FolderRole, Rejection, Split


@dataclass(frozen=True)
class ClipFile:
    """A video file whose name is a clip's."""

    stem: str
    youtube_id: str
    source: Path
    """Relative to its root."""
    root: int
    """Number of its root."""
    class_name: str | None
    """The class that one of its folders names."""
    split: Split | None
    """The split that one of its folders names."""

    @property
    def has_times(self) -> bool:
        """True if the name says what was cut out, not the id alone."""
        return self.stem != self.youtube_id

    @property
    def is_replacement(self) -> bool:
        """True if it lies in one of the archives' folders of replacements for broken files."""
        return any(folder.lower().startswith("replacement") for folder in self.source.parts[:-1])

    def rank(self) -> tuple[bool, bool, Path, int]:
        """Rank among files of its name: the least one is used."""
        return not self.is_replacement, self.class_name is None, self.source, self.root


class FileIndex:
    """The clips' files below the roots; a name counts once, other files of that name are rejected as duplicates.

    Of files with one name a replacement comes first, then one in a class folder, then the first path of the first root.
    """

    def __init__(self, roots: Sequence[Path], known_classes: ClassList) -> None:
        self.rejected: list[Rejection] = []
        """Files whose name is no clip's, files of containers that are not read, and duplicates."""
        self._roots = roots
        tree = scan(roots)
        self.ledger = Ledger(tree)
        """Notes for each file whether it is used, or the reason why not."""
        self._by_stem: dict[str, ClipFile] = {}
        self._by_id: dict[str, list[ClipFile]] = {}
        self._copies: dict[str, list[ClipFile]] = {}
        for file in sorted(self._named(tree, known_classes), key=ClipFile.rank):
            self._copies.setdefault(file.stem, []).append(file)
            if self._by_stem.setdefault(file.stem, file) is not file:
                self._add_double(file)
        for file in self._by_stem.values():
            self._by_id.setdefault(file.youtube_id, []).append(file)

    def __iter__(self) -> Iterator[ClipFile]:
        return iter(self._by_stem.values())

    def __len__(self) -> int:
        return len(self._by_stem)

    def copies(self, file: ClipFile) -> Sequence[ClipFile]:
        """All files of this name, each with what its own folders say."""
        return self._copies[file.stem]

    def find(self, youtube_id: str, times: tuple[int, int] | None, class_name: str) -> ClipFile | None:
        """The file of a clip; where only the id is known, one that lies in the class's folder comes first."""
        files = self._by_id.get(youtube_id, [])
        if times is not None:
            if exact := self._by_stem.get(clip_name(youtube_id, times)):
                return exact
            files = [file for file in files if not file.has_times or file.is_replacement]
        return min(
            files, key=lambda file: (not file.is_replacement, file.class_name != class_name, file.stem), default=None
        )

    def _named(self, tree: Tree, known_classes: ClassList) -> Iterator[ClipFile]:
        for file in tree.files:
            if not file.is_video or file.left_out in ("hidden", "system_folder"):
                continue
            class_name, split = self._read_folders(file, known_classes)
            match = named_clip(file.source.stem)
            if match is None:
                detail = "expected <11-character id>_<start:06d>_<end:06d> or <11-character id>"
                self._reject(file.source, file.root, split, "bad_name", detail)
            elif file.left_out:
                detail = "its ending is of a container that is not read: convert it to .mp4"
                self._reject(file.source, file.root, split, file.left_out, detail)
            else:
                yield ClipFile(file.source.stem, match["id"], file.source, file.root, class_name, split)

    def _read_folders(self, file: TreeFile, known_classes: ClassList) -> tuple[str | None, Split | None]:
        """The class and the split that folders name: of classes the innermost one.

        Raises:
            DataError: if two folders name different splits.
        """
        class_name: str | None = None
        split: Split | None = None
        for depth, folder in enumerate(file.source.parts[:-1], start=1):
            path = Path(*file.source.parts[:depth])
            named_split, named_class = split_named(folder), known_classes.find(folder)
            if named_split and split and named_split != split:
                raise DataError(
                    f"'{printable(file.source)}' can be read in two ways: its folders name the splits {split} and "
                    f"{named_split}. Rename one of them, or name the clips' splits in lists: dataset.split_files=[...]"
                )
            split, class_name = split or named_split, named_class or class_name
            role: FolderRole = "split" if named_split else "class" if named_class else "neither"
            self.ledger.folder(path, role, named_split or named_class or "")
        return class_name, split

    def _add_double(self, file: ClipFile) -> None:
        first = self._by_stem[file.stem]
        if first.is_replacement or self._real(file) == self._real(first):
            self.ledger.leave_out(file.source, file.root, "replaced" if first.is_replacement else "same_file")
        else:
            where = "" if file.root == first.root else f"root {first.root + 1} of {len(self._roots)}: "
            self._reject(
                file.source, file.root, file.split, "duplicate", f"{where}'{printable(first.source)}' has the same name"
            )
        # What the first one's own folders do not say.
        self._by_stem[file.stem] = replace(
            first, class_name=first.class_name or file.class_name, split=first.split or file.split
        )

    def _real(self, file: ClipFile) -> str:
        """The file that a link leads to: archives offer class folders that link to flat ones."""
        return os.path.realpath(self._roots[file.root] / file.source)

    def _reject(self, source: Path, root: int, split: Split | None, reason: str, detail: str) -> None:
        self.ledger.leave_out(source, root, reason)
        self.rejected.append(Rejection(file=printable(source), split=split or "train", reason=reason, detail=detail))
