"""Finished tables of work that is under way, kept as they come, so that a killed call goes on where it stood."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet

from preprocessing.errors import DataError
from preprocessing.storage.atomic_file import remove_abandoned_below, replacing
from preprocessing.storage.parsing import parse_json

FOLDER_NAME = "unfinished"
"""Folder inside an `output` while the work is under way."""

T = TypeVar("T")
Position = tuple[int, int]
"""(measurement, batch), each by its number."""


class KeptTables:
    """The tables in a folder of this work's own, named by what decides them: those of others stay apart."""

    def __init__(self, output: Path, fingerprint: Mapping[str, object]) -> None:
        """`fingerprint`: everything that decides the tables; with another value, other tables are seen."""
        text = json.dumps(fingerprint, sort_keys=True)
        self._parent = output / FOLDER_NAME
        self._folder = self._parent / hashlib.sha256(text.encode()).hexdigest()[:16]

    def read(self, suffix: str, made_of: Callable[[Path, dict[str, Any]], T]) -> dict[Position, T]:
        """All tables of this suffix as `made_of(file, facts)` reads them; one that cannot be read is removed."""
        if not self._folder.is_dir():
            return {}
        remove_abandoned_below(self._folder)
        found = {}
        for path in sorted(self._folder.glob(f"*{suffix}")):
            try:
                facts = parse_json(pyarrow.parquet.read_schema(path).metadata[b"piece"], what=f"'{path}'")
                found[facts["measurement"], facts["batch"]] = made_of(path, facts)
            except (DataError, KeyError, TypeError, ValueError, OSError, pa.ArrowException):
                path.unlink()
        return found

    def add(self, position: Position, suffix: str, table: pa.Table, **facts: object) -> None:
        """Keep a table and some facts about it; it is there whole or not at all."""
        metadata = {"measurement": position[0], "batch": position[1], **facts}
        with replacing(self.file(position, suffix)) as temporary:
            pyarrow.parquet.write_table(
                table.replace_schema_metadata({"piece": json.dumps(metadata)}), temporary, compression="zstd"
            )

    def file(self, position: Position, suffix: str) -> Path:
        """The file of a table."""
        measurement, batch = position
        return self._folder / f"{measurement:04d}-{batch:06d}{suffix}"

    def remove(self) -> None:
        """Remove them, once the report has been written."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._parent.is_dir() and not any(self._parent.iterdir()):
            self._parent.rmdir()
