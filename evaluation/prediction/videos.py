"""The videos that a user points at: files, folders and URLs of either; each is accounted for."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from preprocessing.datasets.base import printable
from preprocessing.datasets.tree import OTHER_VIDEO_ENDINGS
from preprocessing.datasets.tree import VIDEO_ENDINGS as READ_ENDINGS
from preprocessing.decoding.acceptance import DecodeError
from preprocessing.storage.places import join
from preprocessing.storage.store import Readable, Store, StoreError

VIDEO_ENDINGS = tuple(sorted(READ_ENDINGS | OTHER_VIDEO_ENDINGS))
"""Endings by which files of a folder count as videos; some hold what is not decoded here, which is then said of each.
A file that is named itself may have any."""


@dataclass(frozen=True)
class VideoFile:
    """A video, not opened yet: a file of this machine inside `root`, or one of a store."""

    name: str
    """The video as it is told to the user."""
    path: Path = Path()
    root: Path = Path()
    store: Store | None = None
    """The store elsewhere that holds it as `path`."""
    refusal: DecodeError | None = None
    """The reason why there is nothing to open."""

    @contextmanager
    def opened(self) -> Iterator[tuple[Path, Path]]:
        """Path and root of the video on this machine, where one of a store is only inside the block.

        Raises:
            DecodeError: `missing_file` or `unreadable`, if a store does not give it, or why there is none.
        """
        if self.refusal is not None:
            raise self.refusal
        if self.store is None:
            yield self.path, self.root
            return
        with tempfile.TemporaryDirectory(prefix="predict-") as folder:
            copy = Path(folder) / f"video{self.path.suffix}"
            with copy.open("wb") as file:
                _fetch(self.store, str(self.path), file)
            yield copy, copy.parent


def video_files(places: Sequence[str]) -> Iterator[VideoFile]:
    """The videos at these places, folders in the order of their files' paths; hidden files are none.

    Raises:
        StoreError: if a store cannot be listed.
    """
    for place in places:
        found = list(_in_a_store(place) if "://" in place else _on_this_machine(place))
        endings = ", ".join(VIDEO_ENDINGS)
        nothing = DecodeError("no_videos", f"holds no file that ends in {endings}")
        yield from found or [VideoFile(place, refusal=nothing)]


def is_video(name: str) -> bool:
    """True if a file of this name counts as a video."""
    return name.lower().endswith(VIDEO_ENDINGS) and not PurePosixPath(name).name.startswith(".")


def _on_this_machine(place: str) -> Iterator[VideoFile]:
    given = Path(place).expanduser()
    if not given.is_dir():
        real = Path(os.path.realpath(given))  # whoever names a link means what it leads to
        yield VideoFile(printable(Path(place)), real, real.parent)
        return
    unreadable: list[OSError] = []
    found = sorted(
        Path(folder) / name
        for folder, _, names in os.walk(given, onerror=unreadable.append)
        for name in names
        if is_video(name)
    )
    yield from (VideoFile(printable(path), path, given) for path in found)
    for error in unreadable:
        yield VideoFile(str(error.filename), refusal=DecodeError("unreadable", error.strerror or str(error)))


def _in_a_store(place: str) -> Iterator[VideoFile]:
    folder, _, name = place.rpartition("/")
    if name and not folder.endswith("/") and Store(folder).size(name) is not None:
        yield VideoFile(place, Path(name), store=Store(folder))
        return
    store = Store(place)
    for found in filter(is_video, store.names()):
        yield VideoFile(join(place, found), Path(found), store=store)


def _fetch(store: Store, name: str, file: IO[bytes]) -> None:
    def copy(opened: Readable) -> None:
        file.seek(0)
        file.truncate()
        shutil.copyfileobj(opened, file)

    try:
        store.stream(name, copy)
    except FileNotFoundError as error:
        raise DecodeError("missing_file", f"'{store.url(name)}' does not exist") from error
    except StoreError as error:
        raise DecodeError("unreadable", str(error)) from error
