"""Layouts in which Kinetics-Sounds is found in the wild, all with the same four clips, as empty files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from preprocessing.datasets import Listing

CLIPS = (
    ("train", "playing piano", "--4-0ihtnBU_000058_000068"),
    ("train", "singing", "__________-_000120_000130"),
    ("val", "playing piano", "a-b_c-d_e-f_000001_000011"),
    ("test", "singing", "zzzzzzzzzzz_000000_000010"),
)
HEADER = "label,youtube_id,time_start,time_end,split\n"


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def row(split: str, label: str, stem: str) -> str:
    return f'"{label}",{stem[:-14]},{int(stem[-13:-7])},{int(stem[-6:])},{split}\n'


def told(listing: Listing) -> set[tuple[str, int, str, str]]:
    return {(video.split, video.label, video.class_name, video.key) for video in listing.videos}


LABELS = {"playing piano": 16, "singing": 25}  # in ks31
EXPECTED = {(split.replace("val", "validation"), LABELS[label], label, stem) for split, label, stem in CLIPS}


def flat_with_one_csv_each(root: Path) -> None:
    touch(root, *(f"{split}/{stem}.mp4" for split, _, stem in CLIPS))
    for name in ("train", "val", "test"):
        rows = "".join(row(split, label, stem) for split, label, stem in CLIPS if split == name)
        (root / f"{name}.csv").write_text(HEADER + rows)


def flat_with_one_csv(root: Path) -> None:
    touch(root, *(f"{stem}.mp4" for _, _, stem in CLIPS))
    (root / "annotations").mkdir()
    (root / "annotations/all.csv").write_text(HEADER + "".join(row(*clip) for clip in CLIPS))


def flat_with_other_columns_and_unquoted_labels(root: Path) -> None:
    touch(root, *(f"{stem}.mp4" for _, _, stem in CLIPS))
    rows = "".join(row(*clip).replace('"', "") for clip in CLIPS)
    (root / "kinetics.csv").write_text("\ufefflabel-name,video-id,start-time,end-time,split\n" + rows)


def class_folders_with_spaces(root: Path) -> None:
    touch(root, *(f"{split}/{label}/{stem}.mp4" for split, label, stem in CLIPS))


def class_folders_with_underscores(root: Path) -> None:
    touch(root, *(f"{split}_256/{label.replace(' ', '_')}/{stem}.mkv" for split, label, stem in CLIPS))


def class_folders_in_capitals(root: Path) -> None:
    touch(root, *(f"{split.upper()}/{label.replace(' ', '_').upper()}/{stem}.MP4" for split, label, stem in CLIPS))


def class_folders_above_splits(root: Path) -> None:
    touch(root, *(f"{label.title()}/{split}/{stem}.webm" for split, label, stem in CLIPS))


def class_folders_that_link_to_flat_ones(root: Path) -> None:
    for split, label, stem in CLIPS:
        touch(root, f"k400/{split}/{stem}.mp4")
        (root / "videos" / split / label).mkdir(parents=True, exist_ok=True)
        (root / "videos" / split / label / f"{stem}.mp4").symlink_to(root / f"k400/{split}/{stem}.mp4")


LAYOUTS = [
    flat_with_one_csv_each,
    flat_with_one_csv,
    flat_with_other_columns_and_unquoted_labels,
    class_folders_with_spaces,
    class_folders_with_underscores,
    class_folders_in_capitals,
    class_folders_above_splits,
    class_folders_that_link_to_flat_ones,
]
every_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: str(layout.__name__))
Layout = Callable[[Path], None]
