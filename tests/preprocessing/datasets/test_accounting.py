"""The account adds up, and says in a few lines what a user must know."""

from __future__ import annotations

from pathlib import Path

import pytest

from preprocessing.datasets.accounting import Ledger, left_out, lines, require_videos_of_each, with_rejected
from preprocessing.datasets.tree import scan
from preprocessing.schema import Accounting, ListRead, Rejection


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Four videos, one of which is left out, and some other files."""
    for name in ("a/1.mp4", "a/2.mkv", "b/3.mp4", "b/4.flv", "b/x.txt", "all.csv", ".git/5.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = Ledger(scan([tmp_path]))
    found.leave_out(Path("b/3.mp4"), 0, "not_chosen")
    for name in ("a", "a", "b"):
        found.folder(Path(name), "class" if name == "a" else "neither", "cat" if name == "a" else "")
    found.list_read(ListRead(file="all.csv", read_as="CSV with ';', UTF-16", num_rows=5, num_used=2, reason="3 rows"))
    return found


def test_every_video_is_used_or_left_out(ledger: Ledger) -> None:
    found = ledger.accounting("by hand")
    assert (found.num_seen, found.num_used) == (5, 2)
    assert {each.reason: each.count for each in found.left_out} == {
        "not_chosen": 1,
        "other_container": 1,
        "system_folder": 1,
    }
    assert Accounting.model_validate_json(found.model_dump_json()) == found


def test_it_is_said_in_a_few_lines(ledger: Ledger) -> None:
    assert lines(ledger.accounting("by hand")) == [
        ("layout", "by hand"),
        ("videos seen", "4, 2 used (.mp4 3, .mkv 1)"),
        ("videos not read", "1 (.flv 1)"),
        ("lists seen", "1, 1 used (.csv 1)"),
        ("other files", "1 (.txt 1)"),
        ("class folders", "1: a as 'cat' 2"),
        ("other folders", "1: b 1"),
        ("folder left out", "'.git', 1 videos: a folder of the system or of a program"),
        ("list", "'all.csv', CSV with ';', UTF-16: 2 of 5 rows, 3 rows"),
        ("left out: system_folder", "1 (in a folder of the system or of a program), such as '.git/5.mp4'"),
        ("left out: not_chosen", "1 (of no class or list that is chosen), such as 'b/3.mp4'"),
        (
            "left out: other_container",
            "1 (a container that is not read: convert them, as with `ffmpeg -i x.flv x.mp4`), such as 'b/4.flv'",
        ),
    ]


def test_what_is_left_out_later_is_no_longer_used(ledger: Ledger) -> None:
    lost = [Rejection(file="a/1.mp4", split="train", reason="same_bytes", detail="")]
    found = with_rejected(ledger.accounting(""), lost)
    assert (found.num_seen, found.num_used, found.num_left_out("same_bytes")) == (5, 1, 1)
    assert with_rejected(found, []) == found


def test_a_class_without_a_usable_video_is_refused() -> None:
    accounting = Accounting(left_out=left_out([("other_container", "b/1.flv"), ("", "a/1.mp4")]))
    require_videos_of_each(["a"], accounting, {"a": 1})
    with pytest.raises(ValueError, match=r"of 1 of 2 classes: b \(left out: 1 other_container, such as 'b/1\.flv'\)"):
        require_videos_of_each(["a", "b"], accounting, {"a": 1})


def test_many_folders_are_not_all_named(tmp_path: Path) -> None:
    ledger = Ledger(scan([tmp_path]))
    for number in range(31):
        ledger.folder(Path(f"{number:02d}"), "class", f"{number:02d}")
    assert lines(ledger.accounting("")) == [("class folders", "31: 00 1, 01 1, 02 1, 03 1, 04 1, and 26 more")]
