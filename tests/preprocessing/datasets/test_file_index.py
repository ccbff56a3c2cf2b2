"""Which file is meant by a name or an id, and what its folders say. The files are empty: only names are read."""

from __future__ import annotations

from pathlib import Path

from preprocessing.datasets.class_lists import load_class_list
from preprocessing.datasets.file_index import FileIndex

STEM = "-abcdefghi-_000010_000020"
ID, TIMES = STEM[:11], (10, 20)


def index(root: Path, *names: str) -> FileIndex:
    """The index of a folder with these files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return FileIndex([root], load_class_list("ks31"))


def found(files: FileIndex, times: tuple[int, int] | None, class_name: str = "singing") -> str | None:
    file = files.find(ID, times, class_name)
    return file.source.as_posix() if file else None


def test_folders_tell_class_and_split_wherever_they_stand(tmp_path: Path) -> None:
    names = ("k400/train_256/Playing_Piano/a__________.mp4", "singing/val/b__________.mp4", "x/c__________.mp4")
    told = {file.stem[0]: (file.class_name, file.split) for file in index(tmp_path, *names)}
    assert told == {"a": ("playing piano", "train"), "b": ("singing", "validation"), "c": (None, None)}


def test_the_innermost_class_folder_counts(tmp_path: Path) -> None:
    (file,) = index(tmp_path, "singing/laughing/a__________.mp4")
    assert file.class_name == "laughing"


def test_a_clip_with_times_is_found_by_its_name_or_else_by_its_id_alone(tmp_path: Path) -> None:
    other = "-abcdefghi-_000030_000040.mp4"
    assert found(index(tmp_path / "exact", f"{STEM}.mp4", f"{ID}.mp4", other), TIMES) == f"{STEM}.mp4"
    assert found(index(tmp_path / "id", f"{ID}.mp4", other), TIMES) == f"{ID}.mp4"
    assert found(index(tmp_path / "none", other), TIMES) is None


def test_a_clip_without_times_is_found_by_its_id_first_in_the_folder_of_its_class(tmp_path: Path) -> None:
    names = (f"{STEM}.mp4", "singing/-abcdefghi-_000030_000040.mp4", "laughing/-abcdefghi-_000000_000010.mp4")
    files = index(tmp_path, *names)
    assert found(files, None, "singing") == names[1]
    assert found(files, None, "laughing") == names[2]
    assert found(files, None, "tickling") == names[2]


def test_of_files_with_one_name_the_one_in_a_class_folder_is_used(tmp_path: Path) -> None:
    files = index(tmp_path, f"0/{STEM}.mp4", f"singing/{STEM}.mp4", f"zzz/{STEM}.mkv")
    assert found(files, TIMES) == f"singing/{STEM}.mp4"
    assert [(each.file, each.detail) for each in files.rejected] == [
        (f"0/{STEM}.mp4", f"'singing/{STEM}.mp4' has the same name"),
        (f"zzz/{STEM}.mkv", f"'singing/{STEM}.mp4' has the same name"),
    ]


def test_a_file_learns_class_and_split_from_files_of_its_name(tmp_path: Path) -> None:
    (file,) = files = index(tmp_path, f"replacement_for_corrupted_k400/{STEM}.mp4", f"test/singing/{STEM}.mp4")
    assert (file.is_replacement, file.class_name, file.split) == (True, "singing", "test")
    assert [copy.split for copy in files.copies(file)] == [None, "test"]
    assert files.rejected == []


def test_a_link_to_the_file_is_no_duplicate(tmp_path: Path) -> None:
    index(tmp_path, f"flat/{STEM}.mp4")
    (tmp_path / "singing").mkdir()
    (tmp_path / f"singing/{STEM}.mp4").symlink_to(f"../flat/{STEM}.mp4")
    files = index(tmp_path)
    assert found(files, TIMES) == f"singing/{STEM}.mp4"
    assert (len(files), files.rejected) == (1, [])


def test_a_link_that_leads_nowhere_is_listed_like_any_file(tmp_path: Path) -> None:
    """The decoder will say what is wrong with it."""
    (tmp_path / f"{STEM}.mp4").symlink_to("nowhere")
    files = index(tmp_path, f"copy/{STEM}.mp4")
    assert found(files, TIMES) == f"{STEM}.mp4"
    assert [rejection.file for rejection in files.rejected] == [f"copy/{STEM}.mp4"]
