"""certificates.parquet: one row per clip and attack, enough to recompute every number of a report."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from jaxtyping import Bool, Float

from evaluation.stored.row_table import RowTable, read_table
from preprocessing.errors import DataError
from preprocessing.settings import Settings

CERTIFICATES_NAME = "certificates.parquet"


class Certificate(Settings):
    """The record of one attack on one clip. A clip's own facts (before any attack) are repeated in each of its rows."""

    key: str
    label: int
    """The true class."""
    clean_prediction: int
    """The model's class for the untouched clip; -1 = its logits are not finite."""
    video_gradient: float | None
    """Largest absolute gradient of the clean clip's loss over its frames; None = not finite."""
    audio_gradient: float | None
    """The same over its log-mel patches; over its waveform, one step of 16 bits away from it."""
    uses_video: bool
    """True if the logits change when the frames are inverted."""
    uses_audio: bool
    """True if the logits change when the log-mel patches are inverted or the waveform is replaced by noise."""
    forward_difference: float | None
    """Largest difference between the logits of repeated passes, over their spread; None = not finite."""
    companion_difference: float | None
    """Largest difference between the clip's logits in its batch and alone or among other clips, over their spread;
    None = not finite."""
    video_alignment: tuple[float | None, ...] | None = None
    """Share of its promise that a step along the gradient in the frames keeps, over the same of random steps, for steps
    of epsilon / 64 and epsilon / 8 from a random point of the ball, then from where ten steps of PGD lead: 1 where
    the gradient is the loss's own, 0 where it has nothing to do with it. None = too faint to measure, or no budget."""
    audio_alignment: tuple[float | None, ...] | None = None
    """The same in the sound."""
    video_rise: float | None = None
    """Growth of the margin one epsilon along the gradient in the frames, over the logits' spread; None = not finite, or
    no budget."""
    audio_rise: float | None = None
    """The same in the sound."""
    video_smoothed_rise: float | None = None
    """The same along the mean of the gradients of points around."""
    audio_smoothed_rise: float | None = None
    """The same in the sound."""
    video_path_gradient: tuple[float | None, ...] | None = None
    """Largest absolute gradient of the margin over the frames at a random point of the ball, half way to where ten
    steps of PGD end, and where they end; 0 = not finite, None = the clip is wrong there, no list = no budget."""
    audio_path_gradient: tuple[float | None, ...] | None = None
    """The same in the sound."""
    attack: str
    """Label of the attack, as the report names it."""
    threat: str
    """The threat model it played by."""
    perturbed_prediction: int | None
    """The model's class for the perturbed clip; -1 = its logits are not finite; None = the clip was left out, because
    it was wrong untouched or fooled by an earlier attack of the list."""
    epsilon_video: float
    """Budget of the frames in the threat's norm."""
    epsilon_audio: float
    """Budget of the log-mel patches, or of the waveform, in the threat's norm."""
    distance_video: float
    """Distance between perturbed and clean frames in the threat's norm; never above `epsilon_video`."""
    distance_audio: float
    """The same of the sound."""
    linf_video: float
    """Largest change of a pixel value, [0, 1]."""
    linf_audio: float
    """Largest change of a log-mel value, [0, 1], or of a sample of the waveform, [0, 2]."""
    linf_outside: float
    """Largest change of any value in a segment that the threat model spares: always 0."""
    l2_video: float
    """Euclidean length of the change of the whole clip's frames."""
    l2_audio: float
    """Euclidean length of the change of the whole clip's log-mel patches or waveform."""
    psnr_video_db: float | None
    """Peak signal-to-noise ratio of the perturbed frames; None = unchanged."""
    snr_audio_db: float | None
    """Signal-to-noise ratio of the perturbed log-mel patches or waveform; None = unchanged or silent."""
    unusable_gradients: float
    """Share of the gradients that the attack found zero or not finite, over its steps and modalities."""
    seed: int
    """Seed of the attack's randomness; the clip's own stream is derived from it and the key."""
    model_sha256: str
    """Names the model."""


SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("clean_prediction", pa.int32(), nullable=False),
        pa.field("video_gradient", pa.float64()),
        pa.field("audio_gradient", pa.float64()),
        pa.field("uses_video", pa.bool_(), nullable=False),
        pa.field("uses_audio", pa.bool_(), nullable=False),
        pa.field("forward_difference", pa.float64()),
        pa.field("companion_difference", pa.float64()),
        pa.field("video_alignment", pa.list_(pa.float64())),
        pa.field("audio_alignment", pa.list_(pa.float64())),
        pa.field("video_rise", pa.float64()),
        pa.field("audio_rise", pa.float64()),
        pa.field("video_smoothed_rise", pa.float64()),
        pa.field("audio_smoothed_rise", pa.float64()),
        pa.field("video_path_gradient", pa.list_(pa.float64())),
        pa.field("audio_path_gradient", pa.list_(pa.float64())),
        pa.field("attack", pa.string(), nullable=False),
        pa.field("threat", pa.string(), nullable=False),
        pa.field("perturbed_prediction", pa.int32()),
        pa.field("epsilon_video", pa.float64(), nullable=False),
        pa.field("epsilon_audio", pa.float64(), nullable=False),
        pa.field("distance_video", pa.float64(), nullable=False),
        pa.field("distance_audio", pa.float64(), nullable=False),
        pa.field("linf_video", pa.float64(), nullable=False),
        pa.field("linf_audio", pa.float64(), nullable=False),
        pa.field("linf_outside", pa.float64(), nullable=False),
        pa.field("l2_video", pa.float64(), nullable=False),
        pa.field("l2_audio", pa.float64(), nullable=False),
        pa.field("psnr_video_db", pa.float64()),
        pa.field("snr_audio_db", pa.float64()),
        pa.field("unusable_gradients", pa.float64(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("model_sha256", pa.string(), nullable=False),
    ]
)

NEW_COLUMNS: dict[int, tuple[str, ...]] = {
    4: (
        "companion_difference",
        "video_alignment",
        "audio_alignment",
        "video_rise",
        "audio_rise",
        "video_smoothed_rise",
        "audio_smoothed_rise",
    ),
    5: ("video_path_gradient", "audio_path_gradient"),
}
"""Format version of a report -> columns that certificates of earlier ones do not have."""


def schema_of(version: int) -> pa.Schema:
    """The columns of certificates of a format version; before 4 every attack was run on every clip."""
    missing = {name for later, names in NEW_COLUMNS.items() if later > version for name in names}
    return pa.schema(
        [
            field.with_nullable(False) if field.name == "perturbed_prediction" and version < 4 else field
            for field in SCHEMA
            if field.name not in missing
        ]
    )


SCHEMAS = {version: schema_of(version) for version in (5, 4, 3)}
"""Format version -> columns; those of 2 are those of 3."""

CLIP_COLUMNS = (
    "key",
    "label",
    "clean_prediction",
    "video_gradient",
    "audio_gradient",
    "uses_video",
    "uses_audio",
    "forward_difference",
    *(name for names in NEW_COLUMNS.values() for name in names),
)
"""Columns that say something about the clip itself: equal in all of its rows."""


@dataclass(frozen=True)
class Certificates(RowTable):
    """The rows of one evaluation: attack after attack, each over the same clips in the same order."""

    schema = SCHEMA
    what = "certificates"

    @classmethod
    def read(cls, path: Path) -> Certificates:
        """Read a file that `write` made, also an earlier version's.

        Raises:
            ValueError: if it is not a table of certificates.
        """
        table = read_table(path, what=cls.what)
        schema = next((schema for schema in SCHEMAS.values() if table.schema.equals(schema)), None)
        if schema is None:
            raise DataError(f"'{path}' has other columns than a table of certificates: {', '.join(table.column_names)}")
        return cls(table.cast(schema))  # Parquet has names of its own for what is in a list, and writes them again

    @property
    def version(self) -> int:
        """The format version of the reports that they belong to, 3 of the first: it says what can be asked of them."""
        return max((each for each, names in NEW_COLUMNS.items() if names[0] in self.table.column_names), default=3)

    @property
    def clips(self) -> pa.Table:
        """The columns about the clips themselves."""
        return self.table.select([name for name in CLIP_COLUMNS if name in self.table.column_names])

    @property
    def measurements(self) -> tuple[tuple[str, str], ...]:
        """(attack, threat) of every measurement, in order."""
        pairs = zip(self.table["attack"].to_pylist(), self.table["threat"].to_pylist(), strict=True)
        return tuple(dict.fromkeys(pairs))

    def select(self, attack: str, threat: str) -> Certificates:
        """The rows of one measurement, one per clip.

        Raises:
            ValueError: if there are none.
        """
        chosen = (self.column("attack") == attack) & (self.column("threat") == threat)
        if not chosen.any():
            raise DataError(f"no certificates of attack '{attack}' under {threat}")
        return Certificates(self.table.filter(pa.array(chosen)))

    def lists(self, name: str, length: int) -> Float[np.ndarray, "rows length"]:
        """One column of lists of numbers; missing numbers and missing lists are NaN."""
        rows = [[np.nan] * length if row is None else row for row in self.table[name].to_pylist()]
        return np.array(rows, dtype=np.float64).reshape(len(rows), length)

    @property
    def is_right_when_clean(self) -> Bool[np.ndarray, " rows"]:
        """True for rows whose untouched clip is classified correctly."""
        return np.asarray(self.column("clean_prediction") == self.column("label"))

    @property
    def is_left_out(self) -> Bool[np.ndarray, " rows"]:
        """True for rows whose clip was not attacked: it was wrong, or fooled, already."""
        return np.asarray(self.table["perturbed_prediction"].is_null())

    @property
    def attacked(self) -> Certificates:
        """The rows whose clips were attacked."""
        return Certificates(self.table.filter(pa.array(~self.is_left_out)))

    @property
    def is_robust(self) -> Bool[np.ndarray, " rows"]:
        """True for rows that are right both untouched and under the attack: an attacker may also do nothing."""
        is_right_perturbed = np.asarray(self.column("perturbed_prediction") == self.column("label"))
        return np.asarray(self.is_right_when_clean & is_right_perturbed)


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
