"""Finished pieces of an evaluation, kept as they come: one that was interrupted goes on where it stood."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from evaluation.stored.certificates import Certificates
from evaluation.stored.kept_tables import FOLDER_NAME, KeptTables, Position
from evaluation.stored.perturbations import SCHEMA as PERTURBATIONS_SCHEMA
from evaluation.stored.perturbations import write_perturbations

__all__ = ["CERTIFICATES", "FOLDER_NAME", "KeptPieces", "Piece", "Position"]

CERTIFICATES, PERTURBATIONS = ".certificates.parquet", ".perturbations.parquet"
"""Ends of the names of a piece's two files; the first is written last."""


@dataclass(frozen=True)
class Piece:
    """The certificates of one measurement on one batch."""

    measurement: int
    """Position in the list of measurements."""
    batch: int
    """Position among all batches of the evaluation."""
    certificates: Certificates
    device: str
    """Name of the processor or GPU that it was measured on."""
    perturbations: pa.Table = field(default_factory=PERTURBATIONS_SCHEMA.empty_table)
    """Those of its clips whose perturbations are kept; empty once they are on disk."""

    @property
    def position(self) -> Position:
        """Its place among all pieces: measurements in order, and in each its batches."""
        return self.measurement, self.batch

    def __len__(self) -> int:
        return int(self.certificates.table.num_rows)


class KeptPieces:
    """The pieces in a folder of this evaluation's own, named by what decides them: those of others stay apart."""

    def __init__(self, output: Path, fingerprint: Mapping[str, object]) -> None:
        """`fingerprint`: everything that decides the certificates; with another value, other pieces are seen."""
        self._tables = KeptTables(output, fingerprint)

    def read(self) -> dict[Position, Piece]:
        """All pieces that are there; a file that cannot be read is removed, and measured again."""
        return self._tables.read(CERTIFICATES, _piece)

    def add(self, piece: Piece) -> Piece:
        """Keep a piece; it is there whole or not at all. Returns it without its perturbations, which take memory."""
        write_perturbations(self._tables.file(piece.position, PERTURBATIONS), [piece.perturbations])
        self._tables.add(piece.position, CERTIFICATES, piece.certificates.table, device=piece.device)
        return replace(piece, perturbations=PERTURBATIONS_SCHEMA.empty_table())

    def perturbations(self, positions: Iterable[Position]) -> Iterator[pa.Table]:
        """The perturbations of the pieces at these positions."""
        for position in positions:
            file = self._tables.file(position, PERTURBATIONS)
            yield pyarrow.parquet.read_table(file, schema=PERTURBATIONS_SCHEMA)

    def remove(self) -> None:
        """Remove them, once the report has been written."""
        self._tables.remove()


def _piece(path: Path, facts: dict[str, Any]) -> Piece:
    return Piece(facts["measurement"], facts["batch"], Certificates.read(path), facts["device"])
