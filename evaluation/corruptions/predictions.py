"""predictions.parquet: one row per clip, corruption and severity, enough to recompute every number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from evaluation.corruptions.config import Perturbed
from evaluation.corruptions.kinds.base import Severity
from evaluation.stored.row_table import RowTable
from preprocessing.errors import DataError
from preprocessing.settings import Settings

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
class Predictions(RowTable):
    """The rows of one measurement: corruption after corruption, severity after severity, over the same clips."""

    schema = SCHEMA
    what = "predictions"

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
