"""Finished pieces of an evaluation, kept as they come: one that was interrupted goes on where it stood."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from evaluation.stored.certificates import Certificates
from evaluation.stored.perturbations import SCHEMA as PERTURBATIONS_SCHEMA
from evaluation.stored.perturbations import write_perturbations
from preprocessing.errors import DataError
from preprocessing.storage.atomic_file import remove_abandoned_below, replacing

FOLDER_NAME = "unfinished"
"""Folder inside an evaluation's `output` while it is under way."""

CERTIFICATES, PERTURBATIONS = ".certificates.parquet", ".perturbations.parquet"
"""Ends of the names of a piece's two files; the first is written last."""

Position = tuple[int, int]
"""(measurement, batch), each by its number."""


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
        text = json.dumps(fingerprint, sort_keys=True)
        self._parent = output / FOLDER_NAME
        self._folder = self._parent / hashlib.sha256(text.encode()).hexdigest()[:16]

    def read(self) -> dict[Position, Piece]:
        """All pieces that are there; a file that cannot be read is removed, and measured again."""
        if not self._folder.is_dir():
            return {}
        remove_abandoned_below(self._folder)
        found = {}
        for path in sorted(self._folder.glob(f"*{CERTIFICATES}")):
            try:
                piece = _read(path)
            except (DataError, KeyError, ValueError):
                path.unlink()
            else:
                found[piece.position] = piece
        return found

    def add(self, piece: Piece) -> Piece:
        """Keep a piece; it is there whole or not at all. Returns it without its perturbations, which take memory."""
        metadata = {"measurement": piece.measurement, "batch": piece.batch, "device": piece.device}
        table = piece.certificates.table.replace_schema_metadata({"piece": json.dumps(metadata)})
        write_perturbations(self._file(piece.position, PERTURBATIONS), [piece.perturbations])
        with replacing(self._file(piece.position, CERTIFICATES)) as temporary:
            pyarrow.parquet.write_table(table, temporary, compression="zstd")
        return replace(piece, perturbations=PERTURBATIONS_SCHEMA.empty_table())

    def perturbations(self, positions: Iterable[Position]) -> Iterator[pa.Table]:
        """The perturbations of the pieces at these positions."""
        for position in positions:
            yield pyarrow.parquet.read_table(self._file(position, PERTURBATIONS), schema=PERTURBATIONS_SCHEMA)

    def _file(self, position: Position, suffix: str) -> Path:
        measurement, batch = position
        return self._folder / f"{measurement:04d}-{batch:06d}{suffix}"

    def remove(self) -> None:
        """Remove them, once the report has been written."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._parent.is_dir() and not any(self._parent.iterdir()):
            self._parent.rmdir()


def _read(path: Path) -> Piece:
    certificates = Certificates.read(path)
    metadata = json.loads(pyarrow.parquet.read_schema(path).metadata[b"piece"])
    return Piece(metadata["measurement"], metadata["batch"], certificates, metadata["device"])
