"""Data sets of YouTube videos: what their lists and folders say, made one listing without a leak between splits."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from preprocessing.datasets.base import Dataset, Listing, Shares, Video, printable, printed, stable_fraction
from preprocessing.datasets.class_lists import (
    ClassList,
    all_classes,
    checked_choice,
    chosen_classes,
    load_class_list,
    quoted,
)
from preprocessing.datasets.entries import Annotations, Entry
from preprocessing.datasets.file_index import ClipFile, FileIndex
from preprocessing.datasets.leaks import MAX_EXAMPLES, Claim, refuse_leaks
from preprocessing.datasets.split_files import read_split_files
from preprocessing.errors import DataError
from preprocessing.schema import Rejection, Split

logger = logging.getLogger(__name__)

LAYOUT = "class and split folders by their names, at any depth"


@dataclass(frozen=True)
class Clip:
    """One clip with its file, as a list or a folder describes it."""

    key: str
    youtube_id: str
    class_name: str
    where: str
    """The list or folder that says so, for messages."""
    file: ClipFile | None
    """None: it is missing."""
    claims: tuple[Claim, ...]
    """Claims that put it into a split: the list's, or else the folders of its file and of the file's copies."""

    @property
    def split(self) -> Split | None:
        """The split it is put into, if any."""
        return self.claims[0].split if self.claims else None

    @property
    def source(self) -> Path:
        """Path of the file, as it is or should be."""
        return self.file.source if self.file else Path(self.split or "", f"{self.key}.mp4")

    @property
    def identity(self) -> str:
        """The same for clips that are the same: their file's name."""
        return self.file.stem if self.file else self.key


class YouTubeDataset(Dataset):
    """Clips of YouTube videos, their class and split told by lists or folders.

    A subclass says which class lists there are and reads its own annotations; everything else is done here. A video's
    clips never lie in two splits.
    """

    class_lists: ClassVar[tuple[str, ...]]
    """The class lists that `classes` may name; together they hold every class of the data set."""
    numbered_list: ClassVar[str | None] = None
    """The class list that numbered labels of split files count in."""
    unlisted_need_times: ClassVar[bool] = False
    """True if a file that no list names must tell by its name which seconds of its YouTube video it holds."""
    expected_files: ClassVar[str]
    """Layout of the files, for messages."""
    places: ClassVar[tuple[str, ...]] = ("root", "annotations", "split_files")

    classes: str | tuple[str, ...]
    """A class list by name, or class names in label order. Labels never depend on which files there are."""
    annotations: tuple[Path, ...] = ()
    """Files that name the clips' classes. Empty: those found in the roots and in their folders `annotations`."""
    split_files: tuple[Path, ...] = ()
    """Lists of a public protocol: they decide which clips there are, their classes and their splits."""
    shares: Shares = Shares()
    """Divides clips that no list and no folder puts into a split, by class and YouTube id."""
    validation_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of the training clips, by YouTube id, used as validation clips if the data set has none of its own."""

    @field_validator("classes", mode="before")
    @classmethod
    def _classes_are_known(cls, chosen: object) -> object:
        return checked_choice(chosen, cls.class_lists)

    @abstractmethod
    def annotation_files(self) -> Sequence[Path]:
        """The annotation files that are read if none are named."""

    @abstractmethod
    def read_annotations(self, path: Path) -> Annotations:
        """Read an annotation file; no entries come of another kind of file.

        Raises:
            ValueError: if the file is missing or broken.
        """

    def clips_of(self, video: Video) -> Iterator[Video]:
        """The clips that are cut out of a listed video: one, from its middle."""
        yield video

    def listing(self) -> Listing:
        """Read files and lists.

        Raises:
            ValueError: if a list cannot be read, disagrees with the folders, or puts a YouTube video into two splits;
                or if there is no file of a chosen class.
        """
        known, chosen = all_classes(self.class_lists), chosen_classes(self.classes, self.class_lists)
        files = FileIndex(self.roots, known)
        clips = list(self._labelled(files))
        if self.split_files:
            clips = list(self._listed(files, known, clips))
        clips = [clip for clip in clips if clip.class_name in chosen.names]
        split_of = refuse_leaks(claim for clip in clips for claim in clip.claims)
        used = {clip.identity for clip in clips if clip.file}
        if not used:
            raise DataError(self._nothing_found(files, len(clips)))
        clips, ambiguous = unambiguous(clips)
        without_times = [file for file in files if file.stem not in used and self._lacks_times(file)]
        present = {clip.class_name for clip in clips}
        if empty := [name for name in chosen.names if name not in present]:
            logger.warning("%d of %d classes have no clip: %s", len(empty), len(chosen.names), quoted(empty))
        videos = tuple(self._videos(clips, chosen.names, split_of))
        rejected = (*files.rejected, *map(rejected_without_times, without_times), *ambiguous)
        self._note_left_out(files, clips, without_times, [each.file for each in ambiguous])
        return Listing(chosen.names, videos, rejected, files.ledger.accounting(LAYOUT))

    def _note_left_out(
        self, files: FileIndex, clips: Sequence[Clip], without_times: Sequence[ClipFile], ambiguous: Sequence[str]
    ) -> None:
        """Write down what becomes of the files that no clip is cut from."""
        used = {clip.file.stem for clip in clips if clip.file}
        bad = {file.stem for file in without_times}
        for file in files:
            if printable(file.source) in ambiguous:
                files.ledger.leave_out(file.source, file.root, "several_classes")
            elif file.stem not in used:
                files.ledger.leave_out(file.source, file.root, "bad_name" if file.stem in bad else "not_chosen")

    def _lacks_times(self, file: ClipFile) -> bool:
        """True if a file counts only if a list names it."""
        return self.unlisted_need_times and not file.has_times

    def _labelled(self, files: FileIndex) -> Iterator[Clip]:
        """The clips of the annotations, then those that class folders alone name; one may come with several classes."""
        annotated: set[str] = set()
        for path in self.annotations or self.annotation_files():
            annotations = self.read_annotations(path)
            files.ledger.list_read(annotations.read)
            for entry in annotations.entries:
                file = files.find(entry.youtube_id, entry.times, entry.class_name)
                clip = clip_of(entry, entry.key, file, files)
                annotated.add(clip.identity)
                yield clip
        for file in files:
            if file.stem in annotated or self._lacks_times(file):
                continue
            classes = {copy.class_name: copy for copy in reversed(files.copies(file)) if copy.class_name}
            for class_name, copy in classes.items():
                where = f"'{printable(copy.source)}'"
                yield Clip(file.stem, file.youtube_id, class_name, where, file, folder_claims(file, files))

    def _listed(self, files: FileIndex, known: ClassList, labelled: Sequence[Clip]) -> Iterator[Clip]:
        """The clips of the split files.

        Raises:
            ValueError: if folders or annotations name other classes.
        """
        numbered = load_class_list(self.numbered_list) if self.numbered_list else None
        told: dict[str, dict[str, str]] = {}
        for clip in labelled:
            if clip.file:
                told.setdefault(clip.identity, {})[clip.class_name] = clip.where
        disagreements: list[str] = []
        for entry in read_split_files(self.split_files, known=known, numbered=numbered):
            file = files.find(entry.youtube_id, entry.times, entry.class_name)
            key = file.stem if file and entry.times is None else entry.key
            clip = clip_of(entry, key, file, files)
            others = told.get(clip.identity, {})
            if others and clip.class_name not in others:
                shown = ", ".join(f"'{name}' ({where})" for name, where in others.items())
                disagreements.append(f"'{key}': '{clip.class_name}' ({clip.where}), {shown}")
            yield clip
        if disagreements:
            count, examples = len(disagreements), "\n  ".join(disagreements[:MAX_EXAMPLES])
            order = f" Numbered labels count in the order of '{self.numbered_list}'." if self.numbered_list else ""
            raise DataError(
                f"dataset.split_files: {count:,} clips have another class there than in their folder or annotation."
                f"{order} Such as:\n  {examples}"
            )

    def _videos(self, clips: Sequence[Clip], classes: Sequence[str], split_of: dict[str, Split]) -> Iterator[Video]:
        classes_of = {
            clip.youtube_id: clip.class_name for clip in sorted(clips, key=lambda clip: clip.key, reverse=True)
        }
        drawn = self.shares.draw((name, each) for each, name in classes_of.items() if each not in split_of)
        splits = {
            clip.key: split_of.get(clip.youtube_id) or drawn[classes_of[clip.youtube_id], clip.youtube_id]
            for clip in clips
        }
        needs_validation = "validation" not in splits.values()
        for clip in sorted(clips, key=lambda clip: clip.key):
            split = splits[clip.key]
            if needs_validation and split == "train" and stable_fraction(clip.youtube_id) < self.validation_share:
                split = "validation"
            yield from self.clips_of(
                Video(
                    key=clip.key,
                    source=clip.source,
                    label=classes.index(clip.class_name),
                    class_name=clip.class_name,
                    split=split,
                )
            )

    def _nothing_found(self, files: FileIndex, num_clips: int) -> str:
        return (
            f"dataset.root={printed(self.roots)} holds no clip of a chosen class: "
            f"{len(files) + len(files.rejected)} video files, {len(files.rejected)} with a bad name or found twice; "
            f"lists name {num_clips} clips of these classes. Expected {self.expected_files}"
        )


def rejected_without_times(file: ClipFile) -> Rejection:
    """A file that no list names, and whose own name does not say which part of a video it is."""
    detail = "the name has no times, <11-character id>_<start:06d>_<end:06d>, and no list names the id"
    return Rejection(file=printable(file.source), split=file.split or "train", reason="bad_name", detail=detail)


def clip_of(entry: Entry, key: str, file: ClipFile | None, files: FileIndex) -> Clip:
    """A clip as a list names it; the folders of its file put it into a split where the list does not."""
    claims: tuple[Claim, ...] = ()
    if entry.split:
        claims = (Claim(entry.youtube_id, entry.split, entry.where),)
    elif file:
        claims = folder_claims(file, files)
    return Clip(key, entry.youtube_id, entry.class_name, entry.where, file, claims)


def folder_claims(file: ClipFile, files: FileIndex) -> tuple[Claim, ...]:
    """The splits that the folders of a file and of its copies name."""
    return tuple(
        Claim(copy.youtube_id, copy.split, f"'{printable(copy.source)}'") for copy in files.copies(file) if copy.split
    )


def unambiguous(clips: Iterable[Clip]) -> tuple[list[Clip], list[Rejection]]:
    """One clip for each file, without those that are listed under several classes."""
    same: dict[str, list[Clip]] = {}
    for clip in clips:
        same.setdefault(clip.identity, []).append(clip)
    kept: list[Clip] = []
    rejected: list[Rejection] = []
    for group in same.values():
        first = min(group, key=lambda clip: clip.key)
        if len({clip.class_name for clip in group}) == 1:
            kept.append(first)
            continue
        detail = ", ".join(f"'{clip.class_name}' ({clip.where})" for clip in group)
        rejected.append(
            Rejection(
                file=printable(first.source), split=first.split or "train", reason="several_classes", detail=detail
            )
        )
    return kept, rejected
