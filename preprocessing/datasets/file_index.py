"""An index of the video files below a data set's roots, by what their names and folders say."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from preprocessing.datasets.base import printable, split_named, video_files
from preprocessing.datasets.class_lists import ClassList
from preprocessing.datasets.entries import clip_name, named_clip
from preprocessing.schema import Rejection, Split


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
        """Files whose name is no clip's, and duplicates."""
        self._roots = roots
        self._by_stem: dict[str, ClipFile] = {}
        self._by_id: dict[str, list[ClipFile]] = {}
        self._copies: dict[str, list[ClipFile]] = {}
        for file in sorted(self._named(known_classes), key=ClipFile.rank):
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

    def _named(self, known_classes: ClassList) -> Iterator[ClipFile]:
        for source, root in video_files(self._roots):
            folders = source.parts[:-1]
            split = next((split for folder in folders if (split := split_named(folder))), None)
            match = named_clip(source.stem)
            if match is None:
                detail = "expected <11-character id>_<start:06d>_<end:06d> or <11-character id>"
                self._reject(source, split, "bad_name", detail)
                continue
            class_name = next((name for folder in reversed(folders) if (name := known_classes.find(folder))), None)
            yield ClipFile(source.stem, match["id"], source, root, class_name, split)

    def _add_double(self, file: ClipFile) -> None:
        first = self._by_stem[file.stem]
        if not first.is_replacement and self._real(file) != self._real(first):
            where = "" if file.root == first.root else f"root {first.root + 1} of {len(self._roots)}: "
            self._reject(file.source, file.split, "duplicate", f"{where}'{printable(first.source)}' has the same name")
        # What the first one's own folders do not say.
        self._by_stem[file.stem] = replace(
            first, class_name=first.class_name or file.class_name, split=first.split or file.split
        )

    def _real(self, file: ClipFile) -> str:
        """The file that a link leads to: archives offer class folders that link to flat ones."""
        return os.path.realpath(self._roots[file.root] / file.source)

    def _reject(self, source: Path, split: Split | None, reason: str, detail: str) -> None:
        self.rejected.append(Rejection(file=printable(source), split=split or "train", reason=reason, detail=detail))
