from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from evaluation.stored.certificates import SCHEMA, SCHEMAS, Certificate, Certificates, file_sha256


def test_the_columns_are_the_fields_of_a_certificate() -> None:
    assert SCHEMA.names == list(Certificate.model_fields)


def test_a_table_survives_the_file(certificates: Certificates, tmp_path: Path) -> None:
    certificates.write(tmp_path / "certificates.parquet")
    assert Certificates.read(tmp_path / "certificates.parquet").table.equals(certificates.table)


def test_the_same_rows_give_the_same_bytes(certificates: Certificates, tmp_path: Path) -> None:
    certificates.write(tmp_path / "one.parquet")
    certificates.write(tmp_path / "other.parquet")
    assert file_sha256(tmp_path / "one.parquet") == file_sha256(tmp_path / "other.parquet")


def test_every_clip_has_one_row_per_measurement(certificates: Certificates) -> None:
    """3 attacks; video only, audio only and epsilon 4 by two attacks each; epsilon 0; unbounded; noise: 12 times 48."""
    assert len(certificates.measurements) == 12
    assert certificates.table.num_rows == 12 * 48


@pytest.mark.parametrize(("version", "num_missing"), [(3, 9), (4, 2), (5, 0)])
def test_a_table_of_an_earlier_version_is_read(
    version: int, num_missing: int, certificates: Certificates, tmp_path: Path
) -> None:
    table = certificates.select("fgsm", certificates.measurements[0][1]).table  # no clip was left out of it
    missing = [name for name in SCHEMA.names if name not in SCHEMAS[version].names]
    assert len(missing) == num_missing
    Certificates(table.drop_columns(missing).cast(SCHEMAS[version])).write(tmp_path / "certificates.parquet")
    found = Certificates.read(tmp_path / "certificates.parquet")
    assert found.version == version
    assert found.clips.equals(Certificates(table).clips.drop_columns(missing))


def test_lists_of_numbers_are_rows_of_numbers() -> None:
    """Two clips: one without a budget in that modality, one with a number that could not be measured."""
    table = pa.table({"alignment": pa.array([None, [0.5, None]], pa.list_(pa.float64()))})
    found = Certificates(table).lists("alignment", 2)
    assert np.isnan(found).tolist() == [[True, True], [False, True]]
    assert found[1, 0] == 0.5


def test_a_missing_number_is_not_a_number(certificates: Certificates) -> None:
    untouched = certificates.select("pgd-5", "linf(video=0, audio=0)")
    assert np.isnan(untouched.numbers("psnr_video_db")).all()
    assert (untouched.numbers("linf_video") == 0).all()


def test_an_unknown_measurement_is_named(certificates: Certificates) -> None:
    with pytest.raises(ValueError, match="no certificates of attack 'tma-10' under l2"):
        certificates.select("tma-10", "l2(video=1, audio=1)")


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "certificates.parquet"
    path.write_bytes(b"no table")
    with pytest.raises(ValueError, match="cannot be read as a table of certificates"):
        Certificates.read(path)
    pa.parquet.write_table(pa.table({"key": ["a"]}), path)
    with pytest.raises(ValueError, match="has other columns than a table of certificates: key"):
        Certificates.read(path)
