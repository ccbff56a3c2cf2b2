"""Kinetics-Sounds in every layout found in the wild gives the same videos. The files are empty: only names are read."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from preprocessing.datasets import KineticsSounds, Video
from preprocessing.datasets.base import Shares
from preprocessing.datasets.kinetics_sounds import KINETICS_SOUNDS_CLASSES

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


def told(videos: list[Video]) -> set[tuple[str, str, str]]:
    return {(video.split, video.class_name, video.key) for video in videos}


EXPECTED = {(split.replace("val", "validation"), label, stem) for split, label, stem in CLIPS}


def flat_with_one_csv_each(root: Path) -> None:
    touch(root, *(f"{split}/{stem}.mp4" for split, _, stem in CLIPS))
    for name in ("train", "val", "test"):
        rows = "".join(row(split, label, stem) for split, label, stem in CLIPS if split == name)
        (root / f"{name}.csv").write_text(HEADER + rows)


def flat_with_one_csv(root: Path) -> None:
    touch(root, *(f"{stem}.mp4" for _, _, stem in CLIPS))
    (root / "annotations").mkdir()
    (root / "annotations/all.csv").write_text(HEADER + "".join(row(*clip) for clip in CLIPS))


def class_folders_with_spaces(root: Path) -> None:
    touch(root, *(f"{split}/{label}/{stem}.mp4" for split, label, stem in CLIPS))


def class_folders_with_underscores(root: Path) -> None:
    touch(root, *(f"{split}_256/{label.replace(' ', '_')}/{stem}.mkv" for split, label, stem in CLIPS))


def class_folders_above_splits(root: Path) -> None:
    touch(root, *(f"{label.title()}/{split}/{stem}.webm" for split, label, stem in CLIPS))


@pytest.mark.parametrize(
    "layout",
    [
        flat_with_one_csv_each,
        flat_with_one_csv,
        class_folders_with_spaces,
        class_folders_with_underscores,
        class_folders_above_splits,
    ],
    ids=lambda layout: str(layout.__name__),
)
def test_every_layout_gives_the_same_videos(layout: object, tmp_path: Path) -> None:
    assert callable(layout)
    layout(tmp_path)
    listing = KineticsSounds(root=tmp_path).listing()
    assert told(list(listing.videos)) == EXPECTED
    assert all(video.path.exists() for video in listing.videos)
    assert listing.classes == ("playing piano", "singing")
    assert {(video.class_name, video.label) for video in listing.videos} == {("playing piano", 0), ("singing", 1)}


def test_there_are_31_classes_in_alphabetical_order() -> None:
    assert len(KINETICS_SOUNDS_CLASSES) == 31
    assert list(KINETICS_SOUNDS_CLASSES) == sorted(KINETICS_SOUNDS_CLASSES)


def test_labels_are_those_of_the_chosen_classes(tmp_path: Path) -> None:
    class_folders_with_spaces(tmp_path)
    listing = KineticsSounds(root=tmp_path, classes=("tickling", "singing")).listing()
    assert listing.classes == ("tickling", "singing")
    assert {video.label for video in listing.videos} == {1}
    assert len(listing.videos) == 2


def test_an_annotated_clip_without_a_file_is_still_listed(tmp_path: Path) -> None:
    """It is recorded as `missing_file` when its turn comes; a class without any file is no class of this data set."""
    flat_with_one_csv(tmp_path)
    with (tmp_path / "annotations/all.csv").open("a") as stream:
        stream.write(row("train", "singing", "gone_______1_000000_000010"[1:]))
        stream.write(row("train", "tickling", "gone_______2_000000_000010"[1:]))
    listing = KineticsSounds(root=tmp_path).listing()
    missing = [video for video in listing.videos if not video.path.exists()]
    assert [video.key for video in missing] == ["one_______1_000000_000010"]
    assert listing.classes == ("playing piano", "singing")


def test_other_names_and_double_files_are_rejected_by_name(tmp_path: Path) -> None:
    class_folders_with_spaces(tmp_path)
    good = CLIPS[0][2]
    bad = (
        "has space 00_000000_000010",
        "short_000000_000010",
        "endB4Start0_000020_000010",
        "ünïcødé_名前_000000_000010",
    )
    touch(tmp_path, *(f"train/singing/{stem}.mp4" for stem in bad), f"train/singing/{good}.mp4", "train/singing/.x.mp4")
    listing = KineticsSounds(root=tmp_path).listing()
    assert told(list(listing.videos)) == EXPECTED
    assert sorted((rejection.reason, Path(rejection.file).stem) for rejection in listing.rejected) == sorted(
        [*(("bad_name", stem) for stem in bad), ("duplicate", good)]
    )


def test_files_with_an_id_alone_belong_to_their_annotation(tmp_path: Path) -> None:
    touch(tmp_path, "singing/_9pC6FvYj3w.mp4", "test/abcdefghijk.mp4")
    (tmp_path / "test.csv").write_text(HEADER + row("test", "tickling", "abcdefghijk_000007_000017"))
    listing = KineticsSounds(root=tmp_path, shares=Shares(validation=0, test=0), validation_share=0).listing()
    assert told(list(listing.videos)) == {
        ("train", "singing", "_9pC6FvYj3w"),
        ("test", "tickling", "abcdefghijk_000007_000017"),
    }


def test_a_replacement_wins_over_the_broken_original(tmp_path: Path) -> None:
    class_folders_with_spaces(tmp_path)
    (tmp_path / "train.csv").write_text(HEADER + row(*CLIPS[0]))
    touch(tmp_path, f"replacement/replacement_for_corrupted_k400/{CLIPS[0][2]}.mp4")
    (video,) = [video for video in KineticsSounds(root=tmp_path).listing().videos if video.key == CLIPS[0][2]]
    assert "replacement" in video.path.parts
    assert video.split == "train"


def test_without_validation_clips_some_training_clips_become_some(tmp_path: Path) -> None:
    """Clips of one YouTube video go together."""
    stems = [f"{index:04d}_______" for index in range(200)]
    touch(tmp_path, *(f"train/singing/{stem}_{start:06d}_000099.mp4" for stem in stems for start in (1, 20)))
    videos = KineticsSounds(root=tmp_path).listing().videos
    chosen = {video.key[:11] for video in videos if video.split == "validation"}
    assert 8 <= len(chosen) <= 35
    assert not chosen & {video.key[:11] for video in videos if video.split == "train"}


def test_a_youtube_video_in_two_splits_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "train/singing/abcdefghijk_000000_000010.mp4", "test/singing/abcdefghijk_000020_000030.mp4")
    with caplog.at_level(logging.WARNING):
        KineticsSounds(root=tmp_path).listing()
    assert "1 YouTube videos lie in several splits, such as 'abcdefghijk'" in caplog.text


def test_an_empty_folder_is_the_users_mistake(tmp_path: Path) -> None:
    touch(tmp_path, "somewhere/else.mp4")
    with pytest.raises(ValueError, match=r"holds no clip of a wanted class: 1 video files, 1 without a Kinetics name"):
        KineticsSounds(root=tmp_path).listing()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dataset\.root='.*nowhere' is not a folder"):
        KineticsSounds(root=tmp_path / "nowhere").prepare()


def test_times_that_are_no_numbers_are_named_with_their_line(tmp_path: Path) -> None:
    class_folders_with_spaces(tmp_path)
    (tmp_path / "train.csv").write_text(HEADER + "singing,abcdefghijk,soon,later,train\n")
    with pytest.raises(ValueError, match=r"train\.csv' line 2: times must be numbers"):
        KineticsSounds(root=tmp_path).listing()


def test_other_tables_beside_the_videos_are_ignored(tmp_path: Path) -> None:
    class_folders_with_spaces(tmp_path)
    (tmp_path / "notes.csv").write_text("who,what\nme,this\n")
    assert told(list(KineticsSounds(root=tmp_path).listing().videos)) == EXPECTED
