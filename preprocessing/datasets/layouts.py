"""The reading of a tree of class and split folders, and the refusal of a tree that can be read in two ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from preprocessing.datasets.accounting import some
from preprocessing.datasets.base import printed, proper, split_named
from preprocessing.errors import DataError
from preprocessing.schema import SPLITS, Split

Layout = Literal["class_folders", "split_folders", "class_then_split"]
SHAPES: dict[Layout, str] = {
    "class_folders": "<class>/<name>.mp4",
    "split_folders": "<split>/<class>/<name>.mp4",
    "class_then_split": "<class>/<split>/<name>.mp4",
}


@dataclass(frozen=True)
class Placed:
    """The class and split that the folders of a video tell, in one reading."""

    class_name: str = ""
    """Empty if they name none; then `reason` says why the video is left out."""
    split: Split | None = None
    """None: it is drawn."""
    reason: str = ""


def place(source: Path, layout: Layout) -> Placed:
    """Read the folders of a video; deeper ones than the layout's say nothing."""
    folders = source.parts[:-1]
    if not folders:
        return Placed(reason="no_class_folder")
    if layout == "class_folders":
        return Placed(proper(folders[0]))
    split_folder, class_folder = (0, 1) if layout == "split_folders" else (1, 0)
    split = split_named(folders[split_folder]) if len(folders) > split_folder else None
    if split is None:
        return Placed(reason="no_split_folder")
    if len(folders) <= class_folder:
        return Placed(reason="no_class_folder")
    return Placed(proper(folders[class_folder]), split)


def find_layout(sources: Sequence[Path], roots: Sequence[Path]) -> Layout:
    """The only reading of the folders of these videos.

    Raises:
        DataError: if there are two; the message names both and the setting that decides.
    """
    inside = [source.parts for source in sources if len(source.parts) > 1]
    first = {parts[0] for parts in inside}
    splits = {name for name in first if split_named(name)}
    if splits and splits != first:
        raise ambiguous(("class_folders", "split_folders"), sources, roots)
    if splits:
        if all(len(parts) == 2 for parts in inside):
            raise ambiguous(("class_folders", "split_folders"), sources, roots)
        return "split_folders"
    below = [split_named(parts[1]) if len(parts) > 2 else None for parts in inside]
    if not any(below):
        return "class_folders"
    if None in below or len(set(below)) == 1:
        raise ambiguous(("class_folders", "class_then_split"), sources, roots)
    return "class_then_split"


def ambiguous(layouts: Sequence[Layout], sources: Sequence[Path], roots: Sequence[Path]) -> DataError:
    """The message for folders that can be read in two ways."""
    readings = "\n".join(f"  dataset.layout={layout}: {described(layout, sources)}" for layout in layouts)
    return DataError(
        f"dataset.root={printed(roots)} can be read in two ways; set dataset.layout to the one that is meant, or "
        f"rename the folders:\n{readings}"
    )


def described(layout: Layout, sources: Sequence[Path]) -> str:
    """A reading in words: its classes, its splits, and the videos that it uses."""
    placed = [found for source in sources if (found := place(source, layout)).class_name]
    classes = sorted({found.class_name for found in placed})
    counts = Counter(found.split for found in placed)
    splits = ", ".join(f"{split} {counts[split]:,}" for split in SPLITS if counts[split]) or "drawn by dataset.shares"
    named = f"{len(classes)} class{'es' if len(classes) != 1 else ''} ({some(classes)})" if classes else "no class"
    return f"{SHAPES[layout]}, {named}, splits {splits}, {len(placed):,} of {len(sources):,} videos"


def refuse_one_folder_too_high(sources: Sequence[Path], roots: Sequence[Path], layout: Layout) -> None:
    """Stop if all videos are of one class, whose folder holds only folders.

    Raises:
        DataError: naming both readings, and the settings that decide.
    """
    depth = 1 if layout == "class_folders" else 2
    inside = [source for source in sources if place(source, layout).class_name]
    classes = {place(source, layout).class_name for source in inside}
    if len(classes) != 1 or not all(len(source.parts) > depth + 1 for source in inside):
        return
    below = sorted({source.parts[2 if layout == "split_folders" else 1] for source in inside})
    top = {source.parts[0] for source in inside}
    lower = [root / name for root in roots for name in sorted(top) if (root / name).is_dir()]
    instead = (
        f"dataset.root={printed(lower)}: the folders {some(below)} are read as classes or splits"
        if layout != "split_folders"
        else f"move the folders {some(below)} up, into those of the splits: they are the classes"
    )
    raise DataError(
        f"dataset.root={printed(roots)} can be read in two ways, as it may lie one folder too high:\n"
        f"  dataset.layout={layout}: {described(layout, sources)}\n  {instead}"
    )


def refuse_spellings(folders: Sequence[str]) -> None:
    """Stop if class folders differ in nothing but capital letters.

    Raises:
        DataError: naming them, and what decides.
    """
    spellings: dict[str, set[str]] = {}
    for name in folders:
        spellings.setdefault(name.casefold(), set()).add(name)
    if twice := [sorted(names) for names in spellings.values() if len(names) > 1]:
        shown = "; ".join(" and ".join(f"'{name}'" for name in names) for names in twice)
        raise DataError(
            f"class folders that differ in capital letters alone can be one class or two: {shown}. Give them one name, "
            "or name all classes: dataset.classes=[...]"
        )
