"""Any tree of videos with one folder per class."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from preprocessing.datasets.accounting import Ledger, require_videos_of_each, some
from preprocessing.datasets.base import Dataset, Listing, Shares, Video, printable, printed, proper, split_named
from preprocessing.datasets.layouts import (
    SHAPES,
    Layout,
    Placed,
    find_layout,
    place,
    refuse_one_folder_too_high,
    refuse_spellings,
)
from preprocessing.datasets.tree import Tree, TreeFile, scan
from preprocessing.errors import DataError, SettingsError
from preprocessing.schema import FolderRole, Rejection

DETAILS = {
    "bad_name": "the name is not UTF-8",
    "other_container": "its ending is of a container that is not read: convert it to .mp4",
}
DEPTHS: dict[Layout, tuple[int, int]] = {"class_folders": (0, 1), "split_folders": (1, 2), "class_then_split": (2, 1)}
"""Depths of the folders that name the split and the class; 0: there is none."""
DIGITS_OF_HASH = (8, 12, 15)
"""Hexadecimal digits that keep keys apart: more if fewer do not."""


@dataclass(frozen=True)
class _Found:
    """A video and what its folders say."""

    file: TreeFile
    placed: Placed


class Folder(Dataset):
    """Videos (mp4, m4v, mov, 3gp, webm, mkv, avi, ts) in class folders, with split folders above or below, or without.

    Folders that can be read in two ways are an error that names both. Videos outside a split's folder are divided by a
    hash of their file name: adding one moves no other, except in a class so small that a split of it would be empty.
    """

    readings: ClassVar[tuple[str, ...]] = ("layout",)

    name: Literal["folder"] = "folder"
    layout: Literal["auto", "class_folders", "split_folders", "class_then_split"] = "auto"
    """Folders below `root`. `class_folders`: `<class>/`, splits are drawn; `split_folders`: `<split>/<class>/`;
    `class_then_split`: `<class>/<split>/`; `auto`: the one that fits, if it is only one."""
    classes: tuple[str, ...] = ()
    """Class names in label order: folder names. Empty: all that hold a video, sorted."""
    shares: Shares = Shares()
    """Divides the videos that lie in no split's folder."""

    def listing(self) -> Listing:
        """Read the tree.

        Raises:
            DataError: if it holds no video in a class folder, can be read in two ways, or a class has no video that can
                be used.
        """
        tree = scan(self.roots)
        ledger = Ledger(tree)
        candidates, rejected = self._candidates(tree, ledger)
        sources = [file.source for file in candidates]
        layout = self._layout(sources)
        found = [_Found(file, place(file.source, layout)) for file in candidates]
        classes = self._classes(found)
        used, more = self._used(found, classes, ledger, has_links=tree.has_links)
        note_folders(found, layout, classes, ledger)
        accounting = ledger.accounting(f"{layout}: {SHAPES[layout]}")
        if not any(each.placed.class_name for each in found):
            raise DataError(
                f"dataset.root={printed(self.roots)} holds no video in a class folder ({accounting.num_seen} video "
                "files in all); expected <root>/<class>/<name>.mp4 or <root>/<split>/<class>/<name>.mp4"
            )
        require_videos_of_each(classes, accounting, Counter(each.placed.class_name for each in used))
        keys = unique_keys([each.file.source for each in used])
        drawn = self.shares.draw(
            (each.placed.class_name, each.file.source.name) for each in used if not each.placed.split
        )
        videos = tuple(
            Video(
                key=keys[each.file.source],
                source=each.file.source,
                label=classes.index(each.placed.class_name),
                class_name=each.placed.class_name,
                split=each.placed.split or drawn[each.placed.class_name, each.file.source.name],
            )
            for each in used
        )
        return Listing(classes, videos, (*rejected, *more), accounting)

    def _candidates(self, tree: Tree, ledger: Ledger) -> tuple[list[TreeFile], list[Rejection]]:
        """The videos whose folders are read: each path once, with a name that can be written down."""
        first_roots: dict[Path, TreeFile] = {}
        rejected: list[Rejection] = []
        for file in tree.files:
            if not file.is_video or file.left_out in ("hidden", "system_folder"):
                continue
            if printable(file.source) != str(file.source):
                rejected.append(self._rejection(file, "bad_name", ledger))
            elif (first := first_roots.setdefault(file.source, file)) is not file:
                detail = f"root {first.root + 1} of {len(self.roots)} holds a file of this name"
                rejected.append(self._rejection(file, "duplicate", ledger, detail=detail))
        return list(first_roots.values()), rejected

    def _layout(self, sources: Sequence[Path]) -> Layout:
        if self.layout != "auto":
            return self.layout
        layout = find_layout(sources, self.roots)
        if not self.classes:
            refuse_one_folder_too_high(sources, self.roots, layout)
        return layout

    def _classes(self, found: Sequence[_Found]) -> tuple[str, ...]:
        """The classes in label order.

        Raises:
            SettingsError: if a folder is wanted that there is not.
        """
        there = sorted({each.placed.class_name for each in found} - {""})
        if not self.classes:
            refuse_spellings(there)
            return tuple(there)
        wanted = tuple(map(proper, self.classes))
        if twice := [name for name, count in Counter(wanted).items() if count > 1]:
            raise SettingsError(f"dataset.classes: named twice: {some(twice)}")
        if unknown := [name for name in wanted if name not in there]:
            raise SettingsError(f"dataset.classes: {'; '.join(unknown_class(name, there) for name in unknown)}")
        return wanted

    def _used(
        self, found: Sequence[_Found], classes: Sequence[str], ledger: Ledger, *, has_links: bool
    ) -> tuple[list[_Found], list[Rejection]]:
        """The videos that become clips, each file once; the others are noted with their reasons."""
        used: dict[str, _Found] = {}
        rejected: list[Rejection] = []
        for each in found:
            file, placed = each.file, each.placed
            path = self.roots[file.root] / file.source
            if reason := placed.reason or ("" if placed.class_name in classes else "not_chosen"):
                ledger.leave_out(file.source, file.root, reason)
            elif file.left_out:
                rejected.append(self._rejection(file, file.left_out, ledger))
            elif (first := used.setdefault(os.path.realpath(path) if has_links else str(path), each)) is not each:
                refuse_two_readings(first, each)
                ledger.leave_out(file.source, file.root, "same_file")
        return list(used.values()), rejected

    def _rejection(self, file: TreeFile, reason: str, ledger: Ledger, *, detail: str = "") -> Rejection:
        ledger.leave_out(file.source, file.root, reason)
        split = next((split for folder in file.source.parts[:2] if (split := split_named(folder))), None)
        return Rejection(
            file=printable(file.source),
            split=split or self.shares.split_of(file.source.name),
            reason=reason,
            detail=detail or DETAILS[reason],
        )


def refuse_two_readings(first: _Found, other: _Found) -> None:
    """Stop if one file is told by a link to be of two classes or splits.

    Raises:
        DataError: naming both paths, and what decides.
    """
    if first.placed != other.placed:
        raise DataError(
            f"by a link, one file lies in two places: '{printable(first.file.source)}' and "
            f"'{printable(other.file.source)}'. Take one away, or name the classes wanted: dataset.classes=[...]"
        )


def note_folders(found: Iterable[_Found], layout: Layout, classes: Sequence[str], ledger: Ledger) -> None:
    """Write down what each folder is taken as."""
    split_depth, class_depth = DEPTHS[layout]
    for each in found:
        parts = each.file.source.parts[:-1]
        if not each.placed.class_name:
            if parts:
                ledger.folder(Path(parts[0]), "neither", "")
            continue
        is_chosen = each.placed.class_name in classes
        role: FolderRole = "class" if is_chosen else "left_out"
        ledger.folder(Path(*parts[:class_depth]), role, each.placed.class_name if is_chosen else "not_chosen")
        if split_depth:
            ledger.folder(Path(*parts[:split_depth]), "split", each.placed.split or "")


def unique_keys(sources: Sequence[Path]) -> dict[Path, str]:
    """A key for each video: its `key_of`, and where several have the same, that with a hash of the whole path."""
    keys = {source: key_of(source) for source in sources}
    for digits in DIGITS_OF_HASH:
        counts = Counter(keys.values())
        keys |= {source: hashed(source, digits) for source, key in keys.items() if counts[key] > 1}
    assert len(set(keys.values())) == len(keys), "two paths have one SHA-256"
    return keys


def unknown_class(name: str, folders: Sequence[str]) -> str:
    """The words for a class without a folder, with the nearest that there are, or with all of them."""
    nearest = difflib.get_close_matches(name, folders, n=3)
    said = "the nearest are" if nearest else "there are"
    return f"no folder '{name}' holds a video; {said} {some([repr(each) for each in nearest or folders])}"


def key_of(path: Path) -> str:
    """A key from all of a path, so that equal file names in two classes stay apart.

    A path that is too long for a key, or that holds other signs than letters, digits, `-` and `_`, is shortened to them
    and ends in a hash of the whole.
    """
    name = "__".join(path.with_suffix("").parts)
    return name if plain(name) == name else hashed(path, DIGITS_OF_HASH[0])


def hashed(path: Path, digits: int) -> str:
    """The beginning of a path as a key, and so many digits of the hash of the whole."""
    return f"{plain('__'.join(path.with_suffix('').parts))}-{hashlib.sha256(bytes(path)).hexdigest()[:digits]}"


def plain(name: str) -> str:
    """A name in letters, digits, `-` and `_`, of at most 64 signs."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:64]
