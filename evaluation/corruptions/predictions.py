"""predictions.parquet: one row per clip, corruption and severity, enough to recompute every number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from jaxtyping import Bool
from numpy.typing import NDArray

from evaluation.corruptions.config import Perturbed
from evaluation.corruptions.kinds.base import Severity
from preprocessing.errors import DataError
from preprocessing.settings import Settings
from preprocessing.storage.atomic_file import replacing

PREDICTIONS_NAME = "predictions.parquet"


class Prediction(Settings):
    """The model's classes for one clip under one corruption; -1 = its logits are not finite."""

    key: str
    label: int
    """The true class."""
    clean_prediction: int
    """The class of the untouched clip."""
    corruption: str
    severity: int
    prediction_both: int | None
    """The class when both modalities are corrupted; None = not measured, here and below."""
    prediction_video: int | None
    """The class when the frames alone are."""
    prediction_audio: int | None
    """The class when the sound alone is."""
    psnr_video_db: float | None
    """Peak signal-to-noise ratio of the corrupted frames; None = unchanged."""
    snr_audio_db: float | None
    """Signal-to-noise ratio of the corrupted waveform; None = unchanged or silent."""
    seed: int
    """Seed of the corruptions; the clip's own streams are derived from it, the corruption and the key."""
    model_sha256: str
    """Names the model."""


SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("clean_prediction", pa.int32(), nullable=False),
        pa.field("corruption", pa.string(), nullable=False),
        pa.field("severity", pa.int8(), nullable=False),
        pa.field("prediction_both", pa.int32()),
        pa.field("prediction_video", pa.int32()),
        pa.field("prediction_audio", pa.int32()),
        pa.field("psnr_video_db", pa.float64()),
        pa.field("snr_audio_db", pa.float64()),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("model_sha256", pa.string(), nullable=False),
    ]
)
CLIP_COLUMNS = ("key", "label", "clean_prediction")
"""Columns that say something about the clip itself: equal in all of its rows."""


@dataclass(frozen=True)
class Predictions:
    """The rows of one measurement: corruption after corruption, severity after severity, over the same clips."""

    table: pa.Table

    @classmethod
    def from_rows(cls, rows: Sequence[Prediction]) -> Predictions:
        """Collect rows in the order given."""
        return cls(pa.Table.from_pylist([row.model_dump() for row in rows], schema=SCHEMA))

    @classmethod
    def joined(cls, parts: Sequence[Predictions]) -> Predictions:
        """All rows of several, in the order given."""
        return cls(pa.concat_tables([part.table for part in parts]).combine_chunks())

    @classmethod
    def read(cls, path: Path) -> Predictions:
        """Read a file that `write` made.

        Raises:
            DataError: if it is no table of predictions.
        """
        try:
            table = pa.parquet.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"'{path}' cannot be read as a table of predictions: {error}") from error
        if not table.schema.equals(SCHEMA):
            raise DataError(f"'{path}' has other columns than a table of predictions: {', '.join(table.column_names)}")
        return cls(table)

    def write(self, path: Path) -> None:
        """Write the table; the same rows give the same bytes."""
        with replacing(path) as temporary:
            pa.parquet.write_table(self.table, temporary, compression="zstd")

    @property
    def clips(self) -> pa.Table:
        """The clips themselves, once each: the columns of `CLIP_COLUMNS` in the rows of the first condition."""
        first = self.table.slice(0, 1)
        if not first.num_rows:
            return self.table.select(CLIP_COLUMNS)
        [row] = first.to_pylist()
        return self.select(row["corruption"], row["severity"]).table.select(CLIP_COLUMNS)

    def select(self, corruption: str, severity: Severity) -> Predictions:
        """The rows of one condition, one per clip.

        Raises:
            DataError: if there are none.
        """
        is_chosen = (pc.field("corruption") == corruption) & (pc.field("severity") == severity)
        chosen = self.table.filter(is_chosen).combine_chunks()
        if not chosen.num_rows:
            raise DataError(f"no predictions under {corruption} at severity {severity}")
        return Predictions(chosen)

    def column(self, name: str) -> NDArray[np.generic]:
        """One column; missing numbers become NaN."""
        return cast(NDArray[np.generic], self.table[name].to_numpy())

    def numbers(self, name: str) -> NDArray[np.float64]:
        """One column of numbers as float64; missing ones are NaN."""
        return self.column(name).astype(np.float64)

    @property
    def is_right_when_clean(self) -> Bool[np.ndarray, " rows"]:
        """True for rows whose untouched clip is classified correctly."""
        return np.asarray(self.column("clean_prediction") == self.column("label"))

    def is_right(self, perturbed: Perturbed) -> Bool[np.ndarray, " rows"]:
        """True for rows that are classified correctly with these modalities corrupted.

        Raises:
            DataError: if that was not measured.
        """
        found = self.table[f"prediction_{perturbed}"]
        if found.null_count:
            raise DataError(f"{found.null_count} rows have no prediction with perturbed={perturbed}")
        return np.asarray(found.to_numpy() == self.column("label"))
