"""Lists of one's own in every form give the same data set. The files are empty: only names are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from preprocessing.datasets import Listing, VideoList

ROWS: list[dict[str, Any]] = [
    {"path": "x/1.mp4", "label": "cat", "split": "train", "start": None, "end": None},
    {"path": "x/1.mp4", "label": "cat", "split": "train", "start": 4.5, "end": 12},
    {"path": "2.webm", "label": "dog", "split": "val", "start": 3, "end": None},
]
EXPECTED = [
    ("x__1", "x/1.mp4", "cat", "train", None, None),
    ("x__1_00004500ms", "x/1.mp4", "cat", "train", 4.5, 12.0),
    ("2_00003000ms", "2.webm", "dog", "validation", 3.0, None),
]


def text(rows: list[dict[str, Any]], separator: str = ",", header: bool = True) -> str:
    lines = [separator.join("" if cell is None else str(cell) for cell in row.values()) for row in rows]
    return "\n".join([separator.join(ROWS[0]), *lines] if header else lines) + "\n"


def as_csv(path: Path) -> None:
    path.with_suffix(".csv").write_text(text(ROWS))


def without_header(path: Path) -> None:
    path.with_suffix(".csv").write_text(text(ROWS, header=False))


def as_json_lines(path: Path) -> None:
    path.with_suffix(".jsonl").write_text("\n".join(map(json.dumps, ROWS)) + "\n")


def as_json(path: Path) -> None:
    path.with_suffix(".json").write_text(json.dumps(ROWS))


def as_parquet(path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path.with_suffix(".parquet"))


FORMS = [as_csv, without_header, as_json_lines, as_json, as_parquet]


def listing(root: Path, *lists: Path, **settings: Any) -> Listing:
    for row in ROWS:
        (root / row["path"]).parent.mkdir(parents=True, exist_ok=True)
        (root / row["path"]).touch()
    return VideoList.model_validate({"root": root, "lists": lists, **settings}).listing()


def told(found: Listing) -> list[tuple[str, str, str, str, float | None, float | None]]:
    return [(v.key, v.source.as_posix(), v.class_name, v.split, v.start_seconds, v.end_seconds) for v in found.videos]


@pytest.mark.parametrize("write", FORMS, ids=lambda write: str(write.__name__))
def test_every_form_gives_the_same_data_set(write: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    write(tmp_path / "lists/mine")
    (path,) = (tmp_path / "lists").iterdir()
    found = listing(tmp_path / "videos", path)
    assert told(found) == EXPECTED
    assert found.classes == ("cat", "dog")
    (read,) = found.accounting.lists
    assert (read.num_rows, read.num_used) == (3, 3)
    assert (found.accounting.num_seen, found.accounting.num_used) == (2, 2)


def test_files_that_no_list_names_are_counted(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(text(ROWS[:1]))
    accounting = listing(tmp_path, tmp_path / "mine.csv").accounting
    assert [(each.reason, each.example) for each in accounting.left_out] == [("not_listed", "2.webm")]


def test_a_file_named_after_a_split_puts_its_rows_there(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("path;label\nx/1.mp4;cat\n")
    (tmp_path / "test.csv").write_text("path\tlabel\n2.webm\tcat\n")
    found = listing(tmp_path, tmp_path / "train.csv", tmp_path / "test.csv")
    assert {video.source.name: video.split for video in found.videos} == {"1.mp4": "train", "2.webm": "test"}


def test_absolute_paths_inside_a_root_are_understood(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(f"path,label\n{tmp_path}/x/1.mp4,cat\n./x/../2.webm,cat\n")
    assert {video.source.as_posix() for video in listing(tmp_path, tmp_path / "mine.csv").videos} == {
        "x/1.mp4",
        "2.webm",
    }


def test_a_row_that_is_repeated_counts_once_and_two_labels_leave_a_clip_out(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("path,label\nx/1.mp4,cat\nx/1.mp4,cat\n2.webm,dog\n2.webm,cat\ny.mp4,dog\n")
    found = listing(tmp_path, tmp_path / "mine.csv")
    assert [video.key for video in found.videos] == ["x__1", "y"]
    (rejection,) = found.rejected
    assert (rejection.file, rejection.reason) == ("2.webm", "several_classes")
    assert rejection.detail == f"'dog' ('{tmp_path}/mine.csv' line 4), 'cat' ('{tmp_path}/mine.csv' line 5)"


def test_classes_choose_and_order_the_labels(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(text(ROWS))
    found = listing(tmp_path, tmp_path / "mine.csv", classes=["dog"])
    assert [(video.label, video.class_name) for video in found.videos] == [(0, "dog")]
    assert found.accounting.lists[0].reason == "2 rows of other labels"
    with pytest.raises(ValueError, match="no row has the label 'dgo', the nearest is 'dog'; there are: cat, dog"):
        listing(tmp_path, tmp_path / "mine.csv", classes=["dgo"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "m.csv",
            "who,what\nme,this\n",
            r"m\.csv' line 1: expected a header with the columns path, label .*'who,what'",
        ),
        ("m.csv", "path,label\nx/1.mp4\n", r"line 2: expected 2 cells"),
        ("m.csv", "path,label\nx/1.mp4,\n", r"line 2: path and label must not be empty"),
        ("m.csv", "path,label,split\nx/1.mp4,cat,held-out\n", r"line 2: split 'held-out'; allowed: train, val, test"),
        ("m.csv", "path,label,start\nx/1.mp4,cat,soon\n", r"line 2: start and end must be seconds, got 'soon'"),
        ("m.csv", "path,label,start\nx/1.mp4,cat,-1\n", r"line 2: start and end must be seconds from 0 on, got '-1'"),
        ("m.csv", "path,label,start,end\nx/1.mp4,cat,5,5\n", r"line 2: end must come after start"),
        ("m.csv", "path,label\n../x.mp4,cat\n", r"line 2: '\.\./x\.mp4' lies outside dataset\.root="),
        ("m.csv", "path,label\n/etc/x.mp4,cat\n", r"line 2: '/etc/x\.mp4' lies outside dataset\.root="),
        ("m.csv", "path,label\n", r"dataset\.lists='.*' names no video; expected a header"),
        ("m.csv", "path,label,split\nx/1.mp4,a,train\nx/1.mp4,a,test\n", r"(?s)1 video lies in several splits.*line 3"),
        ("m.jsonl", '{"path": "x/1.mp4", "label": "cat"}\n{"path": \n', r"m\.jsonl' line 2: expected .*\"label\""),
        ("m.jsonl", '{"path": "x/1.mp4"}\n', r"line 1: expected 'path' and 'label', got"),
        ("m.json", '["x/1.mp4"]', r"line 1: expected 'path' and 'label', got 'x/1\.mp4'"),
        ("m.parquet", "PAR1", r"m\.parquet' cannot be read as Parquet: "),
    ],
)
def test_broken_lists_are_named_with_their_line(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        listing(tmp_path, tmp_path / name)


def test_a_list_must_be_given_and_be_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1 item"):
        listing(tmp_path)
    with pytest.raises(ValueError, match=r"none\.csv' does not exist"):
        listing(tmp_path, tmp_path / "none.csv")
