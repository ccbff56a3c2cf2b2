from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.corruptions.predictions import CLIP_COLUMNS, Predictions
from preprocessing.errors import DataError
from tests.evaluation.corruptions.hand_made import prediction


def test_a_table_survives_its_file_and_has_the_same_bytes_again(tmp_path: Path) -> None:
    rows = [prediction(key=f"clip {number}", severity=severity) for severity in (1, 5) for number in range(3)]
    table = Predictions.from_rows(rows)
    for name in ("one", "two"):
        table.write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert Predictions.read(tmp_path / "one").table.equals(table.table)


def test_conditions_are_told_apart_and_joined() -> None:
    parts = [
        Predictions.from_rows([prediction(corruption=name, severity=severity, prediction_both=severity)])
        for name in ("rain", "snow")
        for severity in (1, 5)
    ]
    joined = Predictions.joined(parts)
    assert joined.select("snow", 5).table.equals(parts[3].table)
    assert joined.clips.column_names == list(CLIP_COLUMNS)
    assert joined.clips.num_rows == 1
    with pytest.raises(DataError, match="no predictions under snow at severity 3"):
        joined.select("snow", 3)


def test_a_class_that_was_not_asked_for_is_missing_and_not_wrong() -> None:
    table = Predictions.from_rows([prediction(label=2, prediction_both=2, prediction_video=1, prediction_audio=None)])
    assert table.is_right("both").tolist() == [True]
    assert table.is_right("video").tolist() == [False]
    with pytest.raises(DataError, match="1 rows have no prediction with perturbed=audio"):
        table.is_right("audio")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no table")
    with pytest.raises(DataError, match="cannot be read as a table of predictions"):
        Predictions.read(tmp_path / "text")
    Predictions(Predictions.from_rows([prediction()]).table.drop_columns(["seed"])).write(tmp_path / "less")
    with pytest.raises(DataError, match="has other columns than a table of predictions"):
        Predictions.read(tmp_path / "less")
