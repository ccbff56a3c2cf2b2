"""Kinetics-Sounds in the layouts found in the wild: flat folders with annotation files, and one folder per class."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from preprocessing.datasets.base import (
    Dataset,
    Listing,
    Shares,
    Video,
    normalised,
    printable,
    split_named,
    stable_fraction,
    video_files,
)
from preprocessing.schema import Rejection, Split

logger = logging.getLogger(__name__)

KINETICS_SOUNDS_CLASSES = (
    "blowing nose",
    "blowing out candles",
    "bowling",
    "chopping wood",
    "dribbling basketball",
    "laughing",
    "mowing lawn",
    "playing accordion",
    "playing bagpipes",
    "playing bass guitar",
    "playing clarinet",
    "playing drums",
    "playing guitar",
    "playing harmonica",
    "playing keyboard",
    "playing organ",
    "playing piano",
    "playing saxophone",
    "playing trombone",
    "playing trumpet",
    "playing violin",
    "playing xylophone",
    "ripping paper",
    "shoveling snow",
    "shuffling cards",
    "singing",
    "stomping grapes",
    "tap dancing",
    "tapping guitar",
    "tapping pen",
    "tickling",
)
"""The 31 Kinetics-400 labels used by most work on Kinetics-Sounds since OGM-GE, in its order."""

# From the right, because an id may hold and begin with any of `-` and `_`.
NAME = re.compile(r"(?P<id>[A-Za-z0-9_-]{11})(_(?P<start>\d{6})_(?P<end>\d{6}))?")

COLUMNS = {
    "label": ("label", "label-name"),
    "id": ("youtube_id", "video-id"),
    "start": ("time_start", "start-time"),
    "end": ("time_end", "end-time"),
}


@dataclass(frozen=True)
class Found:
    """What is known about one clip from its file and its annotation."""

    key: str
    youtube_id: str
    path: Path
    """Relative to the root; where it should be if the file is missing."""
    class_name: str
    split: Split | None
    exists: bool


class KineticsSounds(Dataset):
    """Kinetics-Sounds, or any part of it, as downloaded: `<11-character id>_<start:06d>_<end:06d>.mp4`, .mkv or .webm.

    Files may lie flat, in folders per split, in folders per class, or both; annotation files name the label of flat
    ones. Where both speak, the annotation wins. Annotated clips without a file are counted as `missing_file`.
    """

    name: Literal["kinetics_sounds"] = "kinetics_sounds"
    classes: tuple[str, ...] = ()
    """Class names in label order. Empty: the 31 Kinetics-Sounds classes, in their order, of which there is a file."""
    annotations: tuple[Path, ...] = ()
    """CSV files with the columns label, youtube_id, time_start, time_end and split (or one file per split, named after
    it). Empty: those found in the root and in its folder `annotations`."""
    shares: Shares = Shares()
    """Divides clips that neither an annotation nor a folder puts into a split, by YouTube id."""
    validation_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of the training clips, by YouTube id, used as validation clips if the data set has none of its own."""

    def listing(self) -> Listing:
        """Read files and annotations.

        Raises:
            ValueError: if a class is unknown to the data set, or nothing is found.
        """
        wanted = {normalised(name): name for name in self.classes or KINETICS_SOUNDS_CLASSES}
        files = FileIndex(self.root, wanted)
        found = {clip.key: clip for clip in self._annotated(files, wanted)}
        for clip in files.in_class_folders():
            found.setdefault(clip.key, clip)
        present = {clip.class_name for clip in found.values() if clip.exists}
        classes = self.classes or tuple(name for name in KINETICS_SOUNDS_CLASSES if name in present)
        clips = [clip for _, clip in sorted(found.items()) if clip.class_name in classes]
        if not any(clip.exists for clip in clips):
            raise ValueError(self._nothing_found(files, len(found)))
        _warn_of_leaks(clips)
        return Listing(classes, tuple(self._videos(clips, classes)), tuple(files.rejected))

    def _annotated(self, files: FileIndex, wanted: dict[str, str]) -> Iterator[Found]:
        for path in self.annotations or annotation_files(self.root):
            for row in read_annotations(path):
                class_name = wanted.get(normalised(row.label))
                if class_name is not None:
                    yield files.locate(row, class_name)

    def _videos(self, clips: Sequence[Found], classes: Sequence[str]) -> Iterator[Video]:
        split_of = {clip.key: clip.split or self.shares.split_of(clip.youtube_id) for clip in clips}
        if "validation" not in split_of.values():
            for clip in clips:
                if split_of[clip.key] == "train" and stable_fraction(clip.youtube_id) < self.validation_share:
                    split_of[clip.key] = "validation"
        for clip in clips:
            yield Video(
                key=clip.key,
                path=self.root / clip.path,
                label=classes.index(clip.class_name),
                class_name=clip.class_name,
                split=split_of[clip.key],
            )

    def _nothing_found(self, files: FileIndex, num_annotated: int) -> str:
        return (
            f"dataset.root='{self.root}' holds no clip of a wanted class: {files.num_files} video files, "
            f"{len(files.rejected)} without a Kinetics name, {num_annotated} annotated clips of a wanted class. "
            "Expected <id>_<start:06d>_<end:06d>.mp4 in folders named after their class, or flat with an annotation "
            "CSV (label,youtube_id,time_start,time_end,split) beside them"
        )


@dataclass(frozen=True)
class Annotation:
    """One row of an annotation file."""

    label: str
    youtube_id: str
    start: int
    end: int
    split: Split | None

    @property
    def key(self) -> str:
        """The stem of the clip's file."""
        return f"{self.youtube_id}_{self.start:06d}_{self.end:06d}"


class FileIndex:
    """The video files below a root by what their names and folders say."""

    def __init__(self, root: Path, wanted: dict[str, str]) -> None:
        self.rejected: list[Rejection] = []
        self._by_stem: dict[str, Found] = {}
        self._by_id: dict[str, Found] = {}
        files = video_files(root)
        self.num_files = len(files)
        # Replacements for files known to be broken come first, so that they win over the originals.
        for path in sorted(files, key=lambda path: (not is_replacement(path), path)):
            self._add(path, wanted)

    def _add(self, path: Path, wanted: dict[str, str]) -> None:
        folders = path.parts[:-1]
        split = next((split for folder in folders if (split := split_named(folder))), None)
        match = NAME.fullmatch(path.stem)
        if match is None or int(match["end"] or 1) <= int(match["start"] or 0):
            detail = "expected <11-character id>_<start:06d>_<end:06d>"
            self.rejected.append(
                Rejection(file=printable(path), split=split or "train", reason="bad_name", detail=detail)
            )
            return
        class_name = next((wanted[name] for folder in reversed(folders) if (name := normalised(folder)) in wanted), "")
        clip = Found(path.stem, match["id"], path, class_name, split, exists=True)
        known = self._by_stem.setdefault(clip.key, clip)
        if known is not clip and not is_replacement(known.path):
            detail = f"'{printable(known.path)}' has the same name"
            self.rejected.append(
                Rejection(file=printable(path), split=split or "train", reason="duplicate", detail=detail)
            )
        if match["start"] is None or is_replacement(path):
            self._by_id.setdefault(clip.youtube_id, clip)

    def in_class_folders(self) -> list[Found]:
        """The files whose folder names a wanted class."""
        return [clip for clip in self._by_stem.values() if clip.class_name]

    def locate(self, row: Annotation, class_name: str) -> Found:
        """The clip of an annotation, with its file if there is one."""
        clip = self._by_stem.get(row.key) or self._by_id.get(row.youtube_id)
        if clip is None:
            missing = Path(row.split or "", f"{row.key}.mp4")
            return Found(row.key, row.youtube_id, missing, class_name, row.split, exists=False)
        return replace(clip, key=row.key, class_name=class_name, split=row.split or clip.split)


def is_replacement(path: Path) -> bool:
    """Whether a file lies in one of the archives' folders of replacements for broken files."""
    return any(folder.lower().startswith("replacement") for folder in path.parts[:-1])


def annotation_files(root: Path) -> list[Path]:
    """The CSV files in the root and in its folder `annotations`."""
    return sorted(root.glob("*.csv")) + sorted((root / "annotations").glob("*.csv"))


def read_annotations(path: Path) -> Iterator[Annotation]:
    """The labelled rows of a CSV file; none if it has other columns. The split is the column's or else the file's.

    Raises:
        ValueError: if the file is missing or a row's times are not numbers.
    """
    split_of_file = next(
        (split for word in re.split("[^a-z]", path.stem.lower()) if (split := split_named(word))), None
    )
    if not path.is_file():
        raise ValueError(f"dataset.annotations: '{path}' does not exist")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream)
        names = {
            field: next((name for name in spellings if name in (rows.fieldnames or ())), "")
            for field, spellings in COLUMNS.items()
        }
        if not all(names.values()):
            return
        for row in rows:
            if not row[names["label"]]:
                continue
            try:
                start, end = (int(float(row[names[field]])) for field in ("start", "end"))
            except (TypeError, ValueError) as error:
                raise ValueError(f"'{path}' line {rows.line_num}: times must be numbers, got {row}") from error
            split = split_named(row.get("split") or "") or split_of_file
            yield Annotation(row[names["label"]], row[names["id"]], start, end, split)


def _warn_of_leaks(clips: Sequence[Found]) -> None:
    """Warn if clips of one YouTube video lie in several splits: a model would be tested on what it has seen."""
    splits: dict[str, set[Split]] = {}
    for clip in clips:
        if clip.split:
            splits.setdefault(clip.youtube_id, set()).add(clip.split)
    leaks = sorted(youtube_id for youtube_id, names in splits.items() if len(names) > 1)
    if leaks:
        logger.warning(
            "%d YouTube videos lie in several splits, such as '%s': remove them from one", len(leaks), leaks[0]
        )
