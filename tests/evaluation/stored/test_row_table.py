from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from evaluation.stored.row_table import RowTable
from preprocessing.errors import DataError
from preprocessing.settings import Settings


class Fruit(Settings):
    name: str
    weight: float | None


class Fruits(RowTable):
    schema = pa.schema([pa.field("name", pa.string(), nullable=False), pa.field("weight", pa.float64())])
    what = "fruits"


ROWS = Fruits.from_rows([Fruit(name="apple", weight=1.5), Fruit(name="pear", weight=None)])


def test_rows_are_read_back_and_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        ROWS.write(tmp_path / name)
    assert Fruits.read(tmp_path / "one").table.equals(ROWS.table)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_parts_are_joined_in_order() -> None:
    assert Fruits.joined([ROWS, ROWS]).table["name"].to_pylist() == ["apple", "pear"] * 2


def test_missing_numbers_are_not_numbers() -> None:
    np.testing.assert_array_equal(ROWS.numbers("weight"), [1.5, np.nan])


def test_another_table_and_no_table_are_refused(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"name": ["apple"]}), tmp_path / "other")
    with pytest.raises(DataError, match="has other columns than a table of fruits: name"):
        Fruits.read(tmp_path / "other")
    (tmp_path / "none").write_text("none")
    with pytest.raises(DataError, match="cannot be read as a table of fruits"):
        Fruits.read(tmp_path / "none")
