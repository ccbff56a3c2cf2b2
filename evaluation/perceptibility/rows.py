"""perceptibility.parquet: one row per adversarial clip, enough to recompute every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.stored.row_table import RowTable
from preprocessing.errors import DataError
from preprocessing.settings import Settings

ROWS_NAME = "perceptibility.parquet"


class Row(Settings):
    """One clip under one attack; a predicted class of -1 = the logits are not finite."""

    key: str
    label: int
    """The true class."""
    attack: str
    """Label of the attack, as the evaluation's report names it."""
    threat: str
    """The threat model that it played by."""
    clean_prediction: int
    """The class of the untouched clip."""
    perturbed_prediction: int
    """The class of the adversarial clip as the attack made it."""
    ssim_video: float | None
    """Structural similarity of its frames to the clean ones; None = no pixel changed."""
    psnr_video_db: float | None
    """Peak signal-to-noise ratio of the frames; None = no pixel changed."""
    snr_audio_db: float | None
    """Signal-to-noise ratio of the waveform; None = unchanged, silent, or the attack changed log-mel patches."""
    lsd_audio_db: float | None
    """Log-spectral distance of the sound; None = unchanged."""
    stored_predictions: dict[str, int]
    """By storage, the class of the adversarial clip written to such a file and read again."""
    clean_stored_predictions: dict[str, int]
    """The same of the untouched clip."""
    model_sha256: str
    """Names the model."""


_PREDICTIONS = pa.map_(pa.string(), pa.int32())
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("attack", pa.string(), nullable=False),
        pa.field("threat", pa.string(), nullable=False),
        pa.field("clean_prediction", pa.int32(), nullable=False),
        pa.field("perturbed_prediction", pa.int32(), nullable=False),
        pa.field("ssim_video", pa.float64()),
        pa.field("psnr_video_db", pa.float64()),
        pa.field("snr_audio_db", pa.float64()),
        pa.field("lsd_audio_db", pa.float64()),
        pa.field("stored_predictions", _PREDICTIONS, nullable=False),
        pa.field("clean_stored_predictions", _PREDICTIONS, nullable=False),
        pa.field("model_sha256", pa.string(), nullable=False),
    ]
)
MEASURES = ("ssim_video", "psnr_video_db", "snr_audio_db", "lsd_audio_db")
"""Columns that say how far a clip is from its original."""


@dataclass(frozen=True)
class Rows(RowTable):
    """The adversarial clips, attack after attack."""

    schema = SCHEMA
    what = "adversarial clips"

    @property
    def attacks(self) -> tuple[str, ...]:
        """The attacks, in order."""
        return tuple(dict.fromkeys(self.table["attack"].to_pylist()))

    @property
    def keys(self) -> tuple[str, ...]:
        """The clips, once each, in order of appearance."""
        return tuple(dict.fromkeys(self.table["key"].to_pylist()))

    @property
    def clips(self) -> Rows:
        """The first row of each clip."""
        first: dict[str, int] = {}
        for row, key in enumerate(self._keys):
            first.setdefault(key, row)
        return self._at(list(first.values()))

    def under(self, attack: str) -> Rows:
        """The rows of one attack."""
        return self._at([row for row, name in enumerate(self.table["attack"].to_pylist()) if name == attack])

    def predictions(self, name: str, storage: str) -> NDArray[np.int64]:
        """The classes after one storage, of `stored_predictions` or `clean_stored_predictions`.

        Raises:
            DataError: if a clip was not stored so.
        """
        found = [row.get(storage) for row in self._maps(name)]
        if None in found:
            raise DataError(f"clip '{self._keys[found.index(None)]}' has no class after the storage '{storage}'")
        return np.array(found, dtype=np.int64)

    def records(self) -> list[dict[str, Any]]:
        """Every row as a dictionary."""
        return cast(list[dict[str, Any]], self.table.to_pylist(maps_as_pydicts="strict"))

    @property
    def _keys(self) -> list[str]:
        return cast(list[str], self.table["key"].to_pylist())

    def _maps(self, name: str) -> list[Mapping[str, int]]:
        return cast(list[Mapping[str, int]], self.table[name].to_pylist(maps_as_pydicts="strict"))

    def _at(self, places: Sequence[int]) -> Rows:
        return Rows(self.table.take(pa.array(places, pa.int64())))
