"""All files below several roots, with their kinds; links are followed inside the roots."""

from __future__ import annotations

from pathlib import Path

import pytest

from preprocessing.datasets.tree import kind_of, scan


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def found(*roots: Path) -> list[tuple[str, int, str, str]]:
    return [(file.source.as_posix(), file.root, file.kind, file.left_out) for file in scan(roots).files]


def test_files_of_several_roots_are_sorted_as_one_tree(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    touch(one / "b/1.mp4", two / "a/1.MKV", two / "b/1.mp4", one / ".hidden.mp4", one / "notes.txt", one / "l.CSV")
    assert found(one, two) == [
        (".hidden.mp4", 0, "video", "hidden"),
        ("a/1.MKV", 1, "video", ""),
        ("b/1.mp4", 0, "video", ""),
        ("b/1.mp4", 1, "video", ""),
        ("l.CSV", 0, "list", ""),
        ("notes.txt", 0, "other", ""),
    ]
    assert [file.source.as_posix() for file in scan([one, two]).videos] == ["a/1.MKV", "b/1.mp4", "b/1.mp4"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'.*gone' cannot be read: No such file"):
        scan([tmp_path / "gone"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((f"x.{ending}", "video") for ending in ("mp4", "M4V", "3gp", "mov", "webm", "mkv", "avi", "ts")),
        *((f"x.{ending}", "other_container") for ending in ("flv", "mpg", "wmv", "MTS", "ogv")),
        *((f"x.{ending}", "list") for ending in ("csv", "TSV", "json", "jsonl", "parquet")),
        *((name, "other") for name in ("x.wav", "mp4", "x", "x.mp4.part")),
    ],
)
def test_the_ending_tells_the_kind(name: str, kind: str) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize("name", [".Trash-1000", "$RECYCLE.BIN", ".ipynb_checkpoints", "__MACOSX", "@eaDir", ".git"])
def test_folders_of_systems_are_left_out_but_counted(name: str, tmp_path: Path) -> None:
    touch(tmp_path / name / "deep/1.mp4", tmp_path / "a/1.mp4")
    assert found(tmp_path) == [
        *sorted([(f"{name}/deep/1.mp4", 0, "video", "system_folder"), ("a/1.mp4", 0, "video", "")])
    ]
    assert scan([tmp_path]).folders_left_out == {name: "a folder of the system or of a program"}


def test_a_root_may_itself_have_a_name_that_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path / ".data/a/1.mp4")
    assert found(tmp_path / ".data") == [("a/1.mp4", 0, "video", "")]


def test_linked_folders_are_followed_and_count_where_the_link_lies(tmp_path: Path) -> None:
    videos, store = tmp_path / "videos", tmp_path / "store"
    touch(store / "k400/train/1.mp4", store / "k400/other/2.mp4", videos / "b/3.mp4")
    (videos / "train").symlink_to(store / "k400/train")
    assert found(videos, store) == [
        ("b/3.mp4", 0, "video", ""),
        ("k400/other/2.mp4", 1, "video", ""),
        ("train/1.mp4", 0, "video", ""),
    ]
    assert scan([videos, store]).has_links


def test_a_link_out_of_all_roots_is_refused_if_it_leads_to_videos(tmp_path: Path) -> None:
    videos, store, notes = tmp_path / "videos", tmp_path / "store", tmp_path / "notes"
    touch(store / "deep/1.mp4", notes / "readme", videos / "b/3.mp4")
    (videos / "notes").symlink_to(notes)
    assert [name for name, *_ in found(videos)] == ["b/3.mp4"]
    assert scan([videos]).folders_left_out == {"notes": f"a link out of dataset.root, to '{notes}'"}
    (videos / "a").symlink_to(store)
    with pytest.raises(ValueError, match=rf"'{videos}/a' leads to '{store}'.*dataset\.root=\[{videos},{store}\]"):
        scan([videos])


def test_links_to_nothing_and_to_themselves_are_listed_like_files(tmp_path: Path) -> None:
    """The decoder says what is wrong with them."""
    (tmp_path / "itself.mp4").symlink_to(tmp_path / "itself.mp4")
    (tmp_path / "nothing.mp4").symlink_to("nowhere")
    assert [name for name, *_ in found(tmp_path)] == ["itself.mp4", "nothing.mp4"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    touch(tmp_path / "a/1.mp4", tmp_path / "b/2.mp4")
    (tmp_path / "a/b").symlink_to(tmp_path / "b")
    (tmp_path / "b/a").symlink_to(tmp_path / "a")
    assert {name for name, *_ in found(tmp_path)} == {"a/1.mp4", "b/2.mp4", "a/b/2.mp4", "b/a/1.mp4"}
    assert set(scan([tmp_path]).folders_left_out) == {"a/b/a", "b/a/b"}
