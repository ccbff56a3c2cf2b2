from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.stored.report_files import read_report, write_report
from preprocessing.errors import DataError, PlaceError
from preprocessing.settings import Settings


class Found(Settings):
    share: float
    names: tuple[str, ...] = ()


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = Found(share=0.1 + 0.2, names=("ü", "<b>"))
    write_report(found, tmp_path, "found.json")
    assert read_report(Found, tmp_path, "found.json", what="search") == found
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_a_missing_report_and_a_damaged_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match=r"found\.json' does not exist: '.*' holds no finished search$"):
        read_report(Found, tmp_path, "found.json", what="search")
    (tmp_path / "found.json").write_text('{"share": "much"}')
    with pytest.raises(DataError, match=r"found\.json' is not a report of this version: share: "):
        read_report(Found, tmp_path, "found.json", what="search")
