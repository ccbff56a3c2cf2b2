"""The account of a data set's folders and lists: what was seen, what is used, and what is left out for which reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from preprocessing.datasets.base import printable
from preprocessing.datasets.tree import Tree, TreeFile, kind_of
from preprocessing.errors import DataError
from preprocessing.schema import Accounting, FileKind, FilesSeen, FolderRead, FolderRole, LeftOut, ListRead, Rejection

MOST_PASSED_OVER = 20
"""Lists that were passed over and are named; more are counted among the files."""
MOST_NAMES = 5
"""Folders named in a line."""
VIDEOS: tuple[FileKind, ...] = ("video", "other_container")

REASONS = {
    "hidden": "the name begins with a dot",
    "system_folder": "in a folder of the system or of a program",
    "other_container": "a container that is not read: convert them, as with `ffmpeg -i x.flv x.mp4`",
    "no_class_folder": "in no class folder",
    "no_split_folder": "outside the split folders",
    "not_chosen": "of no class or list that is chosen",
    "not_listed": "no list names them",
    "same_file": "a link to a file that counts elsewhere",
    "replaced": "an archive's replacement is used",
    "same_bytes": "the same bytes lie in another split",
}
"""Reasons in words; those of `rejected.csv` that say themselves are missing."""


class Ledger:
    """Collects what becomes of every file of a tree: each is used unless it is left out."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._reasons = {(file.source, file.root): file.left_out for file in tree.files if file.is_video}
        self._folders: dict[str, tuple[FolderRole, str, int]] = {}
        self._lists: list[ListRead] = []

    def leave_out(self, source: Path, root: int, reason: str) -> None:
        """Note that a video is left out; the last reason counts."""
        self._reasons[source, root] = reason

    def folder(self, folder: Path, role: FolderRole, meaning: str) -> None:
        """Note that a video lies below a folder which is taken as `role`."""
        name = printable(folder)
        self._folders[name] = (role, meaning, self._folders.get(name, ("neither", "", 0))[2] + 1)

    def list_read(self, *lists: ListRead) -> None:
        """Note what was made of lists."""
        self._lists += lists

    def accounting(self, layout: str) -> Accounting:
        """The account of all files.

        Raises:
            DataError: if none is used of files that are videos of containers which are not read.
        """
        seen: Counter[tuple[FileKind, str]] = Counter((file.kind, file.ending) for file in self._tree.files)
        used: Counter[tuple[FileKind, str]] = Counter(
            (file.kind, file.ending) for file in self._tree.files if file.is_video and not self._reason(file)
        )
        used.update(("list", Path(each.file).suffix.lower()) for each in self._lists if each.read_as)
        for kind, ending in used:
            seen[kind, ending] = max(seen[kind, ending], used[kind, ending])  # a list may lie outside the roots
        folders = [
            FolderRead(folder=name, role=role, meaning=meaning, num_videos=count)
            for name, (role, meaning, count) in self._folders.items()
        ]
        folders += [
            FolderRead(folder=name, role="left_out", meaning=why, num_videos=self._videos_below(name))
            for name, why in self._tree.folders_left_out.items()
        ]
        passed_over = [each for each in self._lists if not each.read_as]
        return Accounting(
            layout=layout,
            files=tuple(
                FilesSeen(ending=ending, kind=kind, seen=count, used=used[kind, ending])
                for (kind, ending), count in sorted(seen.items(), key=lambda item: (-item[1], item[0]))
            ),
            folders=tuple(sorted(folders, key=lambda each: (each.role, each.folder))),
            lists=(*(each for each in self._lists if each.read_as), *passed_over[:MOST_PASSED_OVER]),
            left_out=left_out(
                (reason, printable(file.source)) for file in self._tree.files if (reason := self._reason(file))
            ),
        )

    def _reason(self, file: TreeFile) -> str:
        return self._reasons.get((file.source, file.root), "")

    def _videos_below(self, folder: str) -> int:
        return sum(file.is_video and file.source.is_relative_to(folder) for file in self._tree.files)


def left_out(reasons: Iterable[tuple[str, str]]) -> tuple[LeftOut, ...]:
    """Files by the reason that leaves them out, the most frequent first, with an example; empty reasons are none."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for reason, file in reasons:
        if reason:
            counts[reason] += 1
            examples.setdefault(reason, file)
    return tuple(LeftOut(reason=r, count=n, example=examples[r]) for r, n in counts.most_common())


def with_rejected(accounting: Accounting, rejected: Sequence[Rejection]) -> Accounting:
    """The account once these files are left out too."""
    if not rejected:
        return accounting
    lost = Counter((kind_of(each.file), Path(each.file).suffix.lower()) for each in rejected)
    files = [each.model_copy(update={"used": each.used - lost[each.kind, each.ending]}) for each in accounting.files]
    more = {each.reason: each for each in left_out((each.reason, each.file) for each in rejected)}
    reasons = [
        each.model_copy(update={"count": each.count + (more.pop(each.reason).count if each.reason in more else 0)})
        for each in accounting.left_out
    ]
    return accounting.model_copy(update={"files": tuple(files), "left_out": (*reasons, *more.values())})


def require_videos_of_each(classes: Sequence[str], accounting: Accounting, num_videos: Mapping[str, int]) -> None:
    """Refuse a class whose videos are all left out.

    Raises:
        DataError: naming the classes, and what their videos are left out for.
    """
    if empty := [name for name in classes if not num_videos.get(name)]:
        reasons = "; ".join(f"{each.count:,} {each.reason}, such as '{each.example}'" for each in accounting.left_out)
        raise DataError(
            f"no video can be used of {len(empty)} of {len(classes)} classes: {some(empty)} (left out: "
            f"{reasons or 'none'}); convert other containers, as with `ffmpeg -i x.flv x.mp4`, or name the classes "
            "that are wanted: dataset.classes=[...]"
        )


def lines(accounting: Accounting) -> list[tuple[str, str]]:
    """The account in a few lines: what is said, and its value."""
    rows = [("layout", accounting.layout)] if accounting.layout else []
    kinds: dict[FileKind, str] = {
        "video": "videos seen",
        "other_container": "videos not read",
        "list": "lists seen",
        "other": "other files",
    }
    for kind, name in kinds.items():
        if found := [each for each in accounting.files if each.kind == kind]:
            endings = ", ".join(f"{each.ending or 'none'} {each.seen:,}" for each in found[:MOST_NAMES])
            more = f", {len(found) - MOST_NAMES} other endings" if len(found) > MOST_NAMES else ""
            used = f", {sum(each.used for each in found):,} used" if kind in ("video", "list") else ""
            rows.append((name, f"{sum(each.seen for each in found):,}{used} ({endings}{more})"))
    for role, name in (("class", "class folders"), ("split", "split folders"), ("neither", "other folders")):
        if folders := [each for each in accounting.folders if each.role == role]:
            rows.append((name, f"{len(folders):,}: {some(told(each) for each in folders)}"))
    rows += [
        ("folder left out", f"'{each.folder}', {each.num_videos:,} videos: {each.meaning}")
        for each in accounting.folders
        if each.role == "left_out"
    ]
    for each in accounting.lists:
        read = f"{each.read_as}: {each.num_used:,} of {each.num_rows:,} rows" if each.read_as else "passed over"
        rows.append(("list", f"'{each.file}', {read}{', ' if each.reason else ''}{each.reason}"))
    for left in accounting.left_out:
        why = f" ({REASONS[left.reason]})" if left.reason in REASONS else ""
        rows.append((f"left out: {left.reason}", f"{left.count:,}{why}, such as '{left.example}'"))
    return rows


def told(folder: FolderRead) -> str:
    """A folder with its videos, and what it means where its name is another."""
    name = folder.folder.rpartition("/")[2]
    meaning = f" as '{folder.meaning}'" if folder.meaning and folder.meaning != name else ""
    return f"{folder.folder}{meaning} {folder.num_videos:,}"


def some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    found = list(names)
    more = f", and {len(found) - MOST_NAMES:,} more" if len(found) > MOST_NAMES else ""
    return ", ".join(found[:MOST_NAMES]) + more
