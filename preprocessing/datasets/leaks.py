"""One video in two splits: a model would be tested on what it was trained on."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from preprocessing.errors import DataError
from preprocessing.schema import Rejection, Split

MAX_EXAMPLES = 3
KEPT_IN: tuple[Split, ...] = ("test", "validation", "train")
"""The split in which copies of a video are kept: the first of these that has one, so that tests stay as they are."""
ENDS_BYTES = 1 << 16
"""Read from both ends of files of one size, before they are hashed whole."""


@dataclass(frozen=True)
class Claim:
    """A place that puts a video into a split."""

    youtube_id: str
    split: Split
    where: str
    """The folder, or the file and line."""


@dataclass(frozen=True)
class SizedFile:
    """The file of a planned clip."""

    key: str
    """Of the clip."""
    source: str
    """Relative to its root."""
    path: Path
    root: Path
    """Folder that the file must lie in, also once its links are followed, to be read."""
    split: Split
    num_bytes: int


def copies_in_other_splits(files: Iterable[SizedFile]) -> dict[str, Rejection]:
    """The clips, by key, whose video lies with the same bytes in another split, where it is kept.

    Only files of one size in several splits are read: their ends, and if these agree all of them.
    """
    groups = [[file for file in files if file.num_bytes]]
    for same in (_num_bytes, _sha256_of_ends, _sha256):
        groups = [part for group in groups for part in _of_several_splits(group, same)]
    rejected: dict[str, Rejection] = {}
    for group in groups:
        kept = min(group, key=lambda file: (KEPT_IN.index(file.split), file.source))
        detail = f"'{kept.source}' in {kept.split} has the same bytes"
        for file in group:
            if file.split != kept.split:
                rejected[file.key] = Rejection(file=file.source, split=file.split, reason="same_bytes", detail=detail)
    return rejected


def _of_several_splits(files: Sequence[SizedFile], same: Callable[[SizedFile], object]) -> list[list[SizedFile]]:
    """The files in groups of those in which `same` is the same, if they lie in several splits."""
    groups: dict[object, list[SizedFile]] = {}
    for file in files:
        groups.setdefault(same(file), []).append(file)
    return [group for group in groups.values() if len({file.split for file in group}) > 1]


def _num_bytes(file: SizedFile) -> int:
    return file.num_bytes


def _sha256_of_ends(file: SizedFile) -> str:
    """SHA-256 of a file's ends; what cannot be read is like no other: the decoder will say what is wrong with it."""
    try:
        with _opened(file) as stream:
            head = stream.read(ENDS_BYTES)
            stream.seek(max(file.num_bytes - ENDS_BYTES, 0), os.SEEK_SET)
            return hashlib.sha256(head + stream.read(ENDS_BYTES)).hexdigest()
    except OSError:
        return file.key


def _sha256(file: SizedFile) -> str:
    try:
        with _opened(file) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return file.key


def _opened(file: SizedFile) -> BufferedReader:
    """Open a regular file inside its root; a pipe is not waited for.

    Raises:
        OSError: if it is none, or cannot be read.
    """
    if not file.path.resolve().is_relative_to(file.root.resolve()):
        raise PermissionError(f"'{file.path}' leads out of '{file.root}'")
    stream = os.fdopen(os.open(file.path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise PermissionError(f"'{file.path}' is not a regular file")
    return stream


def refuse_leaks(claims: Iterable[Claim], *, what: str = "YouTube video") -> dict[str, Split]:
    """The split of each claimed video, by its id; `what` it is called in the message.

    Raises:
        ValueError: if places put a video into different splits; the message counts them, names some with the places,
            and says what to do.
    """
    places: dict[str, dict[Split, str]] = {}
    for claim in claims:
        places.setdefault(claim.youtube_id, {}).setdefault(claim.split, claim.where)
    leaks = {youtube_id: found for youtube_id, found in sorted(places.items()) if len(found) > 1}
    if leaks:
        examples = [
            f"'{youtube_id}': {', '.join(f'{split} ({where})' for split, where in found.items())}"
            for youtube_id, found in list(leaks.items())[:MAX_EXAMPLES]
        ]
        count = f"1 {what} lies" if len(leaks) == 1 else f"{len(leaks):,} {what}s lie"
        rest = "" if len(leaks) <= MAX_EXAMPLES else f"\n  ... and {len(leaks) - MAX_EXAMPLES:,} more"
        raise DataError(
            f"{count} in several splits: a model would be tested on what it was trained on. Take each out of all but "
            "one (its files or its lines); of split files give those of one protocol only:\n  "
            + "\n  ".join(examples)
            + rest
        )
    return {youtube_id: split for youtube_id, found in places.items() for split in found}
