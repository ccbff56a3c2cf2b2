from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from evaluation.stored.kept_tables import FOLDER_NAME, KeptTables

TABLE = pa.table({"key": ["a", "b"]})


def found(path: Path, facts: dict[str, Any]) -> tuple[list[str], str]:
    return pyarrow.parquet.read_table(path)["key"].to_pylist(), facts["device"]


def test_tables_are_read_back_by_their_place_with_their_facts(tmp_path: Path) -> None:
    kept = KeptTables(tmp_path, {"seed": 0})
    kept.add((1, 20), ".rows.parquet", TABLE, device="a processor")
    kept.add((1, 20), ".others.parquet", TABLE.slice(1), device="another")
    assert KeptTables(tmp_path, {"seed": 0}).read(".rows.parquet", found) == {(1, 20): (["a", "b"], "a processor")}
    assert kept.read(".others.parquet", found) == {(1, 20): (["b"], "another")}


def test_work_of_other_settings_sees_none_of_them(tmp_path: Path) -> None:
    mine, theirs = KeptTables(tmp_path, {"seed": 0}), KeptTables(tmp_path, {"seed": 1})
    mine.add((0, 0), ".rows.parquet", TABLE, device="")
    assert theirs.read(".rows.parquet", found) == {}
    theirs.remove()
    assert mine.read(".rows.parquet", found)
    mine.remove()
    assert not (tmp_path / FOLDER_NAME).exists()


def test_what_cannot_be_read_is_removed(tmp_path: Path) -> None:
    kept = KeptTables(tmp_path, {})
    kept.add((0, 0), ".rows.parquet", TABLE, device="")
    for name, content in (("0000-000001", b"half"), ("0000-000002", b"")):
        (kept.file((0, 0), ".rows.parquet").parent / f"{name}.rows.parquet").write_bytes(content)
    pyarrow.parquet.write_table(TABLE, kept.file((0, 3), ".rows.parquet"))
    assert list(kept.read(".rows.parquet", found)) == [(0, 0)]
    assert len(list(tmp_path.rglob("*.parquet"))) == 1
