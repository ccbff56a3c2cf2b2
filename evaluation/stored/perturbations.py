"""perturbations.parquet: what attacks added to a sample of the clips, so that anybody can try it on the model again.

Every perturbation is rounded towards zero to 15 bits and a sign before it is judged, so what is stored is, value for
value, what the model was asked about; and it stays inside every ball and box that it was inside before.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch
from jaxtyping import Float
from torch import Tensor

from evaluation.stored.row_table import group_bytes, refuse_large_table
from preprocessing.errors import DataError
from preprocessing.storage.atomic_file import replacing
from preprocessing.storage.parsing import open_regular
from training.batch import MODALITIES, Batch, Modality, per_clip
from training.threat import ThreatModel

PERTURBATIONS_NAME = "perturbations.parquet"
LEVELS = 32767
"""Steps between nothing and a stream's largest change: the largest value of 16 bits."""

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("attack", pa.string(), nullable=False),
        pa.field("threat", pa.string(), nullable=False),
        *(pa.field(f"{name}_scale", pa.float32(), nullable=False) for name in MODALITIES),
        *(pa.field(name, pa.binary(), nullable=False) for name in MODALITIES),
    ]
)
"""`scale`: the stream's largest change; the stream: its change in steps of scale / 32767, 16-bit integers, all low
bytes before all high bytes, which compresses better."""


@dataclass(frozen=True)
class Perturbation:
    """The changes of a batch of clips, as they can be stored."""

    steps: Mapping[Modality, Float[Tensor, "batch *shape"]]
    """Change of each value in whole steps of its clip's scale / 32767."""
    scale: Mapping[Modality, Float[Tensor, " batch"]]
    """Largest change of each clip's stream, in single precision."""

    @classmethod
    def of(cls, perturbed: Batch, clean: Batch) -> Perturbation:
        """The changes from the clean clips, rounded towards zero."""
        steps, scales = {}, {}
        for name in MODALITIES:
            change = perturbed.stream(name) - clean.stream(name)
            scale = change.abs().flatten(1).amax(1).float().to(change.dtype)
            unit = per_clip(scale.clamp_min(torch.finfo(torch.float32).tiny), change)
            steps[name], scales[name] = (change / unit * LEVELS).trunc().clamp(-LEVELS, LEVELS), scale
        return cls(steps, scales)

    def applied(self, clean: Batch, threat: ThreatModel) -> Batch:
        """The perturbed clips, the same values on every machine: where a step is 0, the clean ones bit for bit."""
        streams = {}
        for name in MODALITIES:
            stream, steps = clean.stream(name), self.steps[name]
            moved = stream + steps * per_clip(self.scale[name] / LEVELS, stream)
            streams[name] = torch.where(steps == 0, stream, moved.clamp(*threat.box(name)))
        return clean.with_streams(**streams)

    def table(self, keys: Sequence[str], *, chosen: Collection[str], attack: str, threat: ThreatModel) -> pa.Table:
        """Rows of the chosen ones of these clips."""
        rows = [row for row, key in enumerate(keys) if key in chosen]
        columns: dict[str, list[object]] = {
            "key": [keys[row] for row in rows],
            "attack": [attack] * len(rows),
            "threat": [str(threat)] * len(rows),
        }
        for name in MODALITIES:
            columns[f"{name}_scale"] = [float(self.scale[name][row]) for row in rows]
            columns[name] = [_packed(self.steps[name][row]) for row in rows]
        return pa.table(columns, schema=SCHEMA)

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, Any]], clean: Batch) -> Perturbation:
        """The stored changes of the clips of a batch, a row for each.

        Raises:
            DataError: if one is not of its clip's shape.
        """
        steps, scales = {}, {}
        for name in MODALITIES:
            like = clean.stream(name)
            steps[name] = torch.stack(
                [_unpacked(row[name], clip, key=row["key"]) for row, clip in zip(rows, like, strict=True)]
            )
            scales[name] = torch.tensor([row[f"{name}_scale"] for row in rows], dtype=like.dtype, device=like.device)
        return cls(steps, scales)


def _packed(steps: Float[Tensor, "*shape"]) -> bytes:
    """Whole numbers as 16 bits, all low bytes before all high bytes."""
    pairs = steps.cpu().numpy().astype("<i2").reshape(-1, 1).view(np.uint8)
    return np.ascontiguousarray(pairs.T).tobytes()


def _unpacked(data: bytes, like: Float[Tensor, "*shape"], *, key: str) -> Float[Tensor, "*shape"]:
    if len(data) != 2 * like.numel():
        raise DataError(f"the stored perturbation of clip '{key}' has {len(data) // 2} values, the clip {like.numel()}")
    pairs = np.frombuffer(data, np.uint8).reshape(2, -1).T
    steps = np.ascontiguousarray(pairs).view("<i2").astype(np.float32)
    return torch.from_numpy(steps).reshape(like.shape).to(like.device, like.dtype)


def sampled_keys(keys: Sequence[str], *, num_clips: int | None, seed: int) -> frozenset[str]:
    """The clips whose perturbations are stored: those with the smallest hashes of seed and key; None = all."""
    if num_clips is None:
        return frozenset(keys)
    return frozenset(sorted(keys, key=lambda key: hashlib.sha256(f"{seed} {key}".encode()).digest())[:num_clips])


def write_perturbations(path: Path, tables: Iterable[pa.Table]) -> None:
    """Write tables one after the other: they need not fit into memory together."""
    with (
        replacing(path) as temporary,
        pyarrow.parquet.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer,
    ):
        for table in tables:
            writer.write_table(table)


def read_perturbations(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a file that `write_perturbations` made, a few at a time.

    Raises:
        DataError: if it is not such a file.
    """
    try:
        os.close(open_regular(path))
        file = pyarrow.parquet.ParquetFile(path)
        if not file.schema_arrow.equals(SCHEMA):
            raise DataError(f"'{path}' has other columns than a table of perturbations")
        refuse_large_table(file.metadata, path, num_bytes=max(group_bytes(file.metadata), default=0))
        for batch in file.iter_batches(batch_size=64):
            yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"'{path}' cannot be read as a table of perturbations: {error}") from error
