"""Reports of strangers: what they name is not run, not asked and not followed, and what they hold is bounded."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from evaluation.config import EvaluateConfig
from evaluation.reporting.grid import Grid, csv_of, escape_latex, escape_markdown
from evaluation.reporting.report import Report
from evaluation.stored.certificates import Certificates
from evaluation.stored.perturbations import SCHEMA, read_perturbations
from evaluation.stored.row_table import MAX_ROWS, refuse_large_table
from evaluation.victim import refuse_unnamed
from preprocessing.errors import DataError, SettingsError

NAME = "\x1b[2J\u202ecmd\n|"


def config(**changes: object) -> EvaluateConfig:
    values = {"model": "anybody:factory", "data": "/data", "output": "/out", **changes}
    return EvaluateConfig.model_validate(values)


def test_code_that_a_report_names_is_run_only_if_the_user_names_it() -> None:
    for given in (None, "other:factory"):
        with pytest.raises(
            SettingsError, match=r"code that a report names is not run unasked: .* add model=anybody:factory"
        ):
            refuse_unnamed(config(), model=given, data=None)
    refuse_unnamed(config(), model="anybody:factory", data=None)
    refuse_unnamed(config(model=None, checkpoint="/c"), model=None, data=None)


@pytest.mark.parametrize("data", ["http://169.254.169.254/latest", "s3://evil/data", "zip://x::http://evil/x.zip"])
def test_a_place_elsewhere_that_a_report_names_is_asked_only_if_the_user_names_it(data: str) -> None:
    reported = config(model=None, checkpoint="/c").model_copy(update={"data": data})
    with pytest.raises(SettingsError, match="is not asked unbidden: if you trust it, add data="):
        refuse_unnamed(reported, model=None, data=None)
    refuse_unnamed(reported, model=None, data=data)


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000, b"NaN", b"\xff"])
def test_a_report_that_is_none_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(text)
    with pytest.raises(DataError, match=r"report\.json' is damaged: it is no JSON"):
        Report.read(tmp_path)


def test_a_report_of_terabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "report.json").open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(DataError, match="has 4,398,046,511,104 bytes; allowed"):
        Report.read(tmp_path)


def test_a_table_of_more_rows_than_any_evaluation_has_is_not_unpacked(tmp_path: Path) -> None:
    """Run lengths: thirty million rows are a few kilobytes on the disk."""
    small = pa.table({"key": pa.array(["x"] * 1_000_000).dictionary_encode()})
    path = tmp_path / "certificates.parquet"
    with pyarrow.parquet.ParquetWriter(path, small.schema) as writer:
        for _ in range(21):
            writer.write_table(small)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(DataError, match=f"has 21,000,000 rows .*; allowed: {MAX_ROWS:,} and"):
        Certificates.read(path)
    with pytest.raises(DataError, match="has other columns than a table of perturbations"):
        next(read_perturbations(path))
    with pytest.raises(DataError, match="unpacks 9,999,999,999,999 bytes at once"):
        refuse_large_table(pyarrow.parquet.read_metadata(path), path, num_bytes=9_999_999_999_999)


def test_large_values_of_perturbations_are_refused_by_their_group(tmp_path: Path) -> None:
    empty = SCHEMA.empty_table()
    pyarrow.parquet.write_table(empty, tmp_path / "perturbations.parquet")
    assert list(read_perturbations(tmp_path / "perturbations.parquet")) == []


def test_names_steer_nothing_in_tables() -> None:
    grid = Grid(NAME, ("", NAME), ((NAME, "1"),))
    for text in (
        grid.markdown(),
        grid.latex(),
        csv_of([[NAME, "=cmd|' /C calc'!A0"]]),
        escape_latex(NAME),
        escape_markdown(NAME),
    ):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert csv_of([["=cmd|' /C calc'!A0"]]) == "'=cmd|' /C calc'!A0\n"
