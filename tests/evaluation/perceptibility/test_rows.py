from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from evaluation.perceptibility.rows import ROWS_NAME, Rows
from preprocessing.errors import DataError
from tests.evaluation.perceptibility.hand_made import ROWS, row


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    ROWS.write(tmp_path / ROWS_NAME)
    found = Rows.read(tmp_path / ROWS_NAME)
    assert found.records() == ROWS.records()
    assert found.records()[0]["stored_predictions"] == {"jpeg_75": 1, "aac_64": 1}
    before = (tmp_path / ROWS_NAME).read_bytes()
    ROWS.write(tmp_path / ROWS_NAME)
    assert (tmp_path / ROWS_NAME).read_bytes() == before


def test_clips_and_attacks_are_listed_once_in_order() -> None:
    assert ROWS.attacks == ("pgd", "fgsm")
    assert ROWS.keys == tuple(f"clip_{number}" for number in range(5))
    assert ROWS.clips.table["key"].to_pylist() == list(ROWS.keys)
    assert set(ROWS.clips.table["attack"].to_pylist()) == {"pgd"}
    assert ROWS.under("fgsm").table["key"].to_pylist() == ["clip_0", "clip_2"]


def test_missing_numbers_are_nan_and_missing_storages_are_named() -> None:
    assert np.isnan(ROWS.numbers("ssim_video")).tolist() == [False] * 4 + [True] + [False] * 2
    assert ROWS.predictions("stored_predictions", "jpeg_75").tolist() == [1, 0, 0, 1, 0, 0, 0]
    lacking = Rows.from_rows([row(0), row(1, stored_predictions={"jpeg_75": 0})])
    with pytest.raises(DataError, match="clip 'clip_1' has no class after the storage 'aac_64'"):
        lacking.predictions("stored_predictions", "aac_64")


def test_what_is_no_such_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ROWS_NAME
    path.write_text("no table")
    with pytest.raises(DataError, match="cannot be read as a table of adversarial clips"):
        Rows.read(path)
    pa.parquet.write_table(pa.table({"key": ["a"]}), path)
    with pytest.raises(DataError, match="has other columns than a table of adversarial clips: key"):
        Rows.read(path)
