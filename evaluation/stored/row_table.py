"""A Parquet table of records: the same rows give the same bytes, and another table is not taken for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar, cast

import pyarrow as pa
import pyarrow.parquet
from numpy import bool_, float64, generic
from numpy.typing import NDArray

from preprocessing.errors import DataError
from preprocessing.settings import Settings
from preprocessing.storage.atomic_file import replacing
from preprocessing.storage.parsing import open_regular

AnyTable = TypeVar("AnyTable", bound="RowTable")


MAX_ROWS = 20_000_000
MAX_TABLE_BYTES = 8 << 30
"""That are read at once, unpacked."""


def read_table(path: Path, *, what: str) -> pa.Table:
    """A Parquet file of `what`; the rows and bytes that its last lines tell are looked at before any is unpacked.

    Raises:
        DataError: if it is no such file, or larger than any should be.
    """
    try:
        os.close(open_regular(path))
        with pa.parquet.ParquetFile(path) as file:
            refuse_large_table(file.metadata, path, num_bytes=sum(group_bytes(file.metadata)))
            return file.read()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"'{path}' cannot be read as a table of {what}: {error}") from error


def group_bytes(metadata: pyarrow.parquet.FileMetaData) -> list[int]:
    """Bytes of every group of rows of a Parquet file, unpacked."""
    return [metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)]


def refuse_large_table(metadata: pyarrow.parquet.FileMetaData, path: Path, *, num_bytes: int) -> None:
    """Stop before a Parquet file is unpacked whose rows, or the `num_bytes` that are read at once, are too many.

    Raises:
        DataError: if they are.
    """
    if not 0 <= metadata.num_rows <= MAX_ROWS or not 0 <= num_bytes <= MAX_TABLE_BYTES:
        raise DataError(
            f"'{path}' has {metadata.num_rows:,} rows and unpacks {num_bytes:,} bytes at once; allowed: {MAX_ROWS:,} "
            f"and {MAX_TABLE_BYTES:,}"
        )


@dataclass(frozen=True)
class RowTable:
    """Rows of one kind; a subclass says which columns they have."""

    table: pa.Table

    schema: ClassVar[pa.Schema]
    what: ClassVar[str]
    """Name of the rows in the plural, as messages call them."""

    @classmethod
    def from_rows(cls: type[AnyTable], rows: Sequence[Settings]) -> AnyTable:
        """Collect rows in the order given."""
        return cls(pa.Table.from_pylist([row.model_dump() for row in rows], schema=cls.schema))

    @classmethod
    def joined(cls: type[AnyTable], parts: Sequence[AnyTable]) -> AnyTable:
        """All rows of several, in the order given."""
        return cls(pa.concat_tables([part.table for part in parts]).combine_chunks())

    @classmethod
    def read(cls: type[AnyTable], path: Path) -> AnyTable:
        """Read a file that `write` made.

        Raises:
            DataError: if it is no such table.
        """
        table = read_table(path, what=cls.what)
        if not table.schema.equals(cls.schema):
            names = ", ".join(table.column_names)
            raise DataError(f"'{path}' has other columns than a table of {cls.what}: {names}")
        return cls(table.cast(cls.schema))  # without what else a file says of itself

    def write(self, path: Path) -> None:
        """Write the table; the same rows give the same bytes."""
        with replacing(path) as temporary:
            pa.parquet.write_table(self.table, temporary, compression="zstd")

    def column(self, name: str) -> NDArray[generic]:
        """One column; missing numbers become NaN."""
        return cast(NDArray[generic], self.table[name].to_numpy())

    def truths(self, name: str) -> NDArray[bool_]:
        """One column of truths, none of them missing."""
        return self.column(name).astype(bool_)

    def numbers(self, name: str) -> NDArray[float64]:
        """One column of numbers as float64; missing ones are NaN."""
        return self.column(name).astype(float64)
