"""The files below a data set's roots, every one of them with its kind: nothing is passed over uncounted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from preprocessing.errors import PlaceError
from preprocessing.schema import FileKind

VIDEO_ENDINGS = frozenset((".mp4", ".mkv", ".webm", ".mov", ".avi", ".ts", ".m4v", ".3gp", ".3g2", ".qt"))
"""Endings of the containers that are read (MP4, MOV, Matroska, WebM, MPEG-TS, AVI); the content decides."""
OTHER_VIDEO_ENDINGS = frozenset(
    [
        ".flv",
        ".f4v",
        ".mpg",
        ".mpeg",
        ".mpe",
        ".m1v",
        ".m2v",
        ".vob",
        ".wmv",
        ".asf",
        ".mts",
        ".m2ts",
        ".ogv",
        ".ogg",
        ".ogm",
        ".rm",
        ".rmvb",
        ".divx",
        ".dv",
        ".mxf",
        ".amv",
    ]
)
"""Endings of videos whose container is not read: each is counted and left out as `other_container`."""
LIST_ENDINGS = frozenset((".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet"))
SYSTEM_FOLDERS = frozenset(
    (
        *("$recycle.bin", "recycler", "#recycle", "system volume information", "found.000", "lost+found"),
        *("__macosx", "@eadir", "__pycache__"),
    )
)
"""Folders that systems and programs make, in small letters, beside all whose name begins with a dot."""
MOST_LOOKED_AT = 10_000
"""Entries looked at behind a link that leads out of the roots, to say whether it leads to videos."""


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file below one of the roots."""

    source: Path
    """Relative to its root."""
    root: int
    """Number of its root."""
    kind: FileKind
    left_out: str = ""
    """The reason for which its place or name leaves it out: `hidden`, `system_folder`, `other_container`, or empty."""

    @property
    def ending(self) -> str:
        """The ending of its name in small letters."""
        return self.source.suffix.lower()

    @property
    def is_video(self) -> bool:
        """True if its ending is a video's, whether its container is read or not."""
        return self.kind in ("video", "other_container")


@dataclass
class Tree:
    """All files below the roots, sorted by path and root, and the folders that are left out."""

    roots: tuple[Path, ...]
    files: list[TreeFile] = field(default_factory=list)
    folders_left_out: dict[str, str] = field(default_factory=dict)
    """Reasons by path relative to its root."""
    has_links: bool = False
    """True if a file or folder is a link: only then can one file have two paths."""

    @property
    def videos(self) -> Iterator[TreeFile]:
        """The videos that neither place nor name leaves out."""
        return (file for file in self.files if file.kind == "video" and not file.left_out)


def scan(roots: Sequence[Path]) -> Tree:
    """Find all files below the roots; links to folders are followed inside the roots.

    A folder that a link of another root leads to counts where the link lies, not a second time where it lies itself:
    so a root may be named only to allow links into it.

    Raises:
        PlaceError: if a folder cannot be read, or a link to a folder of videos leads out of all roots.
    """
    walk = _Walk(tuple(roots))
    for number in range(len(roots)):
        walk.root(number)
    if walk.links_out:
        shown = "; ".join(f"'{link}' leads to '{target}'" for link, target in walk.links_out.items())
        wanted = ",".join(map(str, (*roots, *dict.fromkeys(walk.links_out.values()))))
        raise PlaceError(
            f"dataset.root: links lead out of it to folders of videos: {shown}. Links are followed inside the roots "
            f"only; allow what they lead to by naming it too: dataset.root=[{wanted}]"
        )
    tree = Tree(tuple(roots), folders_left_out=walk.folders_left_out, has_links=walk.has_links)
    tree.files = sorted(walk.files_once(), key=lambda file: (file.source.parts, file.root))
    return tree


def kind_of(name: str) -> FileKind:
    """The kind of a file by the ending of its name."""
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122  # a Path for each of 100,000 names would cost seconds
    if ending in VIDEO_ENDINGS:
        return "video"
    if ending in OTHER_VIDEO_ENDINGS:
        return "other_container"
    return "list" if ending in LIST_ENDINGS else "other"


def is_systems(folder: str) -> bool:
    """True for the name of a folder that a system or a program keeps for itself: trash, caches, checkpoints."""
    return folder.startswith(".") or folder.lower() in SYSTEM_FOLDERS


class _Walk:
    """A walk through the roots, and what it has met."""

    def __init__(self, roots: tuple[Path, ...]) -> None:
        self.roots = roots
        self.folders_left_out: dict[str, str] = {}
        self.links_out: dict[str, str] = {}
        self.has_links = False
        self._real_roots = [Path(os.path.realpath(root)) for root in roots]
        self._found: list[tuple[TreeFile, bool]] = []
        self._targets: list[tuple[int, Path]] = []
        """Folders that links lead to, with the number of the root the link lies in."""

    def root(self, number: int) -> None:
        """Walk through one root."""
        self._folder(number, self.roots[number], Path(), (self._real_roots[number],), reason="", linked=False)

    def files_once(self) -> Iterator[TreeFile]:
        """The files, without those that a link of another root leads to."""
        if not self._targets:
            yield from (file for file, _ in self._found)
            return
        for file, linked in self._found:
            real = self._real_roots[file.root] / file.source
            if linked or not any(
                number != file.root and real.is_relative_to(target) for number, target in self._targets
            ):
                yield file

    def _folder(
        self, number: int, path: Path, inside: Path, above: tuple[Path, ...], *, reason: str, linked: bool
    ) -> None:
        """Walk through a folder; `above` are the real folders it was come through, so that no circle is gone twice."""
        try:
            with os.scandir(path) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if reason:  # nothing of it would be used: `lost+found` is the administrator's alone
                return
            raise PlaceError(f"dataset.root: '{error.filename}' cannot be read: {error.strerror}") from error
        for entry in found:
            source = inside / entry.name
            self.has_links |= entry.is_symlink()
            if not _is_folder(entry):
                self._found.append((self._file(source, number, entry.name, reason), linked))
                continue
            why = reason or ("system_folder" if is_systems(entry.name) else "")
            real = above[-1] / entry.name
            if entry.is_symlink():
                real = Path(os.path.realpath(entry.path))
                if real in above:
                    self.folders_left_out[source.as_posix()] = f"a link to a folder that it lies in, '{real}'"
                    continue
                if not any(real.is_relative_to(root) for root in self._real_roots):
                    self._link_out(source, entry.path, real, why)
                    continue
                if not why:
                    self._targets.append((number, real))
            if why and not reason:
                self.folders_left_out[source.as_posix()] = "a folder of the system or of a program"
            self._folder(
                number, Path(entry.path), source, (*above, real), reason=why, linked=linked or entry.is_symlink()
            )

    def _file(self, source: Path, number: int, name: str, reason: str) -> TreeFile:
        kind = kind_of(name)
        if not reason and name.startswith("."):
            reason = "hidden"
        if not reason and kind == "other_container":
            reason = "other_container"
        return TreeFile(source, number, kind, reason)

    def _link_out(self, source: Path, link: str, target: Path, why: str) -> None:
        if not why and _leads_to_videos(target):
            self.links_out[link] = str(target)
        else:
            self.folders_left_out[source.as_posix()] = f"a link out of dataset.root, to '{target}'"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """True for a folder and a link to one; a link to itself is none, and is listed like any file."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _leads_to_videos(folder: Path) -> bool:
    looked_at = 0
    for _, folders, names in os.walk(folder):
        if any(kind_of(name) in ("video", "other_container") for name in names):
            return True
        looked_at += len(folders) + len(names)
        if looked_at > MOST_LOOKED_AT:
            return False
    return False
