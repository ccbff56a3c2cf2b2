"""MUSIC in its layouts; the lists have the form of the public ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from preprocessing.datasets import Listing, Music
from preprocessing.datasets.base import Shares

SOLOS = {
    "flute": ["jW_AuF6dQYY", "3wPouBFa9U0"],
    "acoustic_guitar": ["IPsA3sz934M"],
    "cello": ["-_-TDDxoaAc"],
}
DUETS = {"flute violin": ["8DHG_hVSw1o"], "saxophone acoustic_guitar": ["ywH4K8mQ-1s"]}
ALL_TRAIN = Shares(validation=0, test=0)
Layout = Callable[[Path], None]


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def write_list(path: Path, videos: dict[str, list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 1.0, "videos": videos}))


def told(listing: Listing) -> set[tuple[int, str, str]]:
    return {(video.label, video.class_name, video.key) for video in listing.videos}


def class_folders(root: Path) -> None:
    touch(root, *(f"{name}/{each}.mp4" for name, ids in (SOLOS | DUETS).items() for each in ids))


def class_folders_of_solos_and_duets(root: Path) -> None:
    touch(root, *(f"solo/{name.replace('_', ' ').title()}/{each}.webm" for name, ids in SOLOS.items() for each in ids))
    touch(root, *(f"duet/{name}/{each}.webm" for name, ids in DUETS.items() for each in ids))


def flat_with_lists(root: Path) -> None:
    touch(root, *(f"{each}.mp4" for ids in (SOLOS | DUETS).values() for each in ids))
    write_list(root / "MUSIC_solo_videos.json", SOLOS)
    write_list(root / "annotations/MUSIC_duet_videos.json", DUETS)
    (root / "notes.json").write_text("[1, 2]")


every_layout = pytest.mark.parametrize(
    "layout", [class_folders, class_folders_of_solos_and_duets, flat_with_lists], ids=lambda layout: layout.__name__
)


@every_layout
def test_every_layout_gives_the_same_solos(layout: Layout, tmp_path: Path) -> None:
    layout(tmp_path)
    listing = Music(root=tmp_path).listing()
    assert told(listing) == {
        (5, "flute", "jW_AuF6dQYY"),
        (5, "flute", "3wPouBFa9U0"),
        (1, "acoustic_guitar", "IPsA3sz934M"),
        (2, "cello", "-_-TDDxoaAc"),
    }
    assert (len(listing.classes), listing.accounting.num_left_out("not_chosen"), listing.rejected) == (11, 2, ())


@every_layout
def test_every_layout_gives_the_same_duets(layout: Layout, tmp_path: Path) -> None:
    layout(tmp_path)
    listing = Music(root=tmp_path, classes="music_duets").listing()
    assert told(listing) == {(4, "flute violin", "8DHG_hVSw1o"), (5, "saxophone acoustic_guitar", "ywH4K8mQ-1s")}
    assert (len(listing.classes), listing.accounting.num_left_out("not_chosen")) == (9, 4)


def test_listed_videos_without_a_file_stay_in_the_listing(tmp_path: Path) -> None:
    flat_with_lists(tmp_path)
    (tmp_path / "3wPouBFa9U0.mp4").unlink()
    listing = Music(root=tmp_path, shares=ALL_TRAIN, validation_share=0).listing()
    assert [video.source.as_posix() for video in listing.videos if not (tmp_path / video.source).exists()] == [
        "3wPouBFa9U0.mp4"
    ]


def test_one_clip_is_the_middle_of_its_video(tmp_path: Path) -> None:
    class_folders(tmp_path)
    assert {video.start_seconds for video in Music(root=tmp_path).videos()} == {None}


def test_several_clips_start_at_stated_times_in_the_split_of_their_video(tmp_path: Path) -> None:
    touch(tmp_path, *(f"flute/{index:04d}_______.mp4" for index in range(60)))
    settings = {"root": tmp_path, "clips_per_video": 3, "first_clip_seconds": 4.5, "clip_spacing_seconds": 30}
    videos = Music.model_validate(settings | {"shares": {"validation": 0.3, "test": 0.3}}).listing().videos
    first = [video for video in videos if video.source == Path("flute/0000_______.mp4")]
    assert [(video.key, video.start_seconds) for video in first] == [
        ("0000________00004500ms", 4.5),
        ("0000________00034500ms", 34.5),
        ("0000________00064500ms", 64.5),
    ]
    splits: dict[Path, set[str]] = {}
    for video in videos:
        splits.setdefault(video.source, set()).add(video.split)
    assert len(videos) == len({video.key for video in videos}) == 180
    assert all(len(found) == 1 for found in splits.values())
    assert set().union(*splits.values()) == {"train", "validation", "test"}


def test_the_split_files_of_tian_and_xu_divide_it(tmp_path: Path) -> None:
    class_folders(tmp_path)
    for split, ids in (("train", ("jW_AuF6dQYY", "3wPouBFa9U0")), ("test", ("-gone-----_",))):
        lines = "".join(f"/flute/{each}.wav,/flute/{each}.mp4,559\n" for each in ids)
        (tmp_path / f"{split}.csv").write_text(lines)
    files = (tmp_path / "train.csv", tmp_path / "test.csv")
    listing = Music(root=tmp_path, split_files=files, validation_share=0).listing()
    assert {(video.key, video.split) for video in listing.videos} == {
        ("jW_AuF6dQYY", "train"),
        ("3wPouBFa9U0", "train"),
        ("-gone-----_", "test"),
    }


def test_numbered_labels_have_no_order_here(tmp_path: Path) -> None:
    class_folders(tmp_path)
    (tmp_path / "train.txt").write_text("jW_AuF6dQYY 3\n")
    with pytest.raises(ValueError, match="line 1: label 3: no list of this data set has numbered labels"):
        Music(root=tmp_path, split_files=(tmp_path / "train.txt",)).listing()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"'.*my\.json' is not JSON: "),
        ('{"videos": {"flute": "jW_AuF6dQYY"}}', r"'my\.json' under 'flute': expected a list of YouTube ids"),
        ('{"videos": {"flute": ["short"]}}', r"'my\.json' under 'flute': 'short' is no YouTube id"),
        ('{"videos": {"flute": [3]}}', r"'my\.json' under 'flute': expected a list of YouTube ids, got \[3\]"),
    ],
)
def test_broken_lists_are_named(text: str, message: str, tmp_path: Path) -> None:
    class_folders(tmp_path)
    (tmp_path / "my.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        Music(root=tmp_path).listing()


def test_a_list_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'.*none\.json' does not exist"):
        Music(root=tmp_path, annotations=(tmp_path / "none.json",)).listing()


def test_an_unknown_instrument_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="unknown class 'flut', the nearest is 'flute'; allowed: 'accordion', "):
        Music(root=tmp_path, classes=("flut",))
