"""outcomes.parquet: one row per clip, attack, surrogate and victim, enough to recompute every number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from evaluation.stored.row_table import RowTable
from preprocessing.settings import Settings

OUTCOMES_NAME = "outcomes.parquet"


class Outcome(Settings):
    """A victim's verdict on one clip that was attacked on a surrogate; a class -1 = its logits are not finite."""

    key: str
    label: int
    """The true class."""
    attack: str
    """Name of the attack in the report."""
    surrogate: str
    """Name of the surrogate: a model, or several together."""
    victim: str
    """Name of the model that was asked."""
    surrogate_right: bool
    """True if the surrogate, and of an ensemble every member, has the untouched clip right."""
    victim_prediction: int
    """The victim's class for the untouched clip."""
    victim_right: bool
    """True if that is the true class."""
    perturbed_prediction: int
    """The victim's class for the attacked clip."""
    fooled: bool | None
    """True if that is another than the true class; None = the clip does not count, because the surrogate or the victim
    had it wrong untouched."""
    epsilon_video: float
    """Budget of the frames in the threat's norm."""
    epsilon_audio: float
    """The same of the sound."""
    distance_video: float
    """Distance between attacked and untouched frames in the threat's norm; never above `epsilon_video`."""
    distance_audio: float
    """The same of the sound."""
    linf_outside: float
    """Largest change of any value in a segment that the threat model spares: always 0."""
    seed: int
    """Seed of the attack's randomness; the clip's own stream is derived from it and the key."""
    victim_sha256: str
    """Names the victim."""


@dataclass(frozen=True)
class Outcomes(RowTable):
    """The rows of one measurement: crafting after crafting, batch after batch, victim after victim."""

    schema = pa.schema(
        [
            pa.field("key", pa.string(), nullable=False),
            pa.field("label", pa.int32(), nullable=False),
            pa.field("attack", pa.string(), nullable=False),
            pa.field("surrogate", pa.string(), nullable=False),
            pa.field("victim", pa.string(), nullable=False),
            pa.field("surrogate_right", pa.bool_(), nullable=False),
            pa.field("victim_prediction", pa.int32(), nullable=False),
            pa.field("victim_right", pa.bool_(), nullable=False),
            pa.field("perturbed_prediction", pa.int32(), nullable=False),
            pa.field("fooled", pa.bool_()),
            pa.field("epsilon_video", pa.float64(), nullable=False),
            pa.field("epsilon_audio", pa.float64(), nullable=False),
            pa.field("distance_video", pa.float64(), nullable=False),
            pa.field("distance_audio", pa.float64(), nullable=False),
            pa.field("linf_outside", pa.float64(), nullable=False),
            pa.field("seed", pa.int64(), nullable=False),
            pa.field("victim_sha256", pa.string(), nullable=False),
        ]
    )
    what = "outcomes"

    @property
    def counts(self) -> Bool[np.ndarray, " rows"]:
        """True for rows whose clip both the surrogate and the victim have right untouched: success is among them."""
        return np.asarray(self.truths("surrogate_right") & self.truths("victim_right"))

    @property
    def is_fooled(self) -> Bool[np.ndarray, " rows"]:
        """True for rows that count and whose attacked clip the victim gets wrong."""
        return np.asarray(self.counts & (self.column("perturbed_prediction") != self.column("label")))

    def cells(self) -> Iterator[tuple[tuple[str, str, str], Outcomes]]:
        """The rows of each (attack, surrogate, victim), one per clip, in the order in which they first appear."""
        codes, names = [], []
        for name in ("attack", "surrogate", "victim"):
            encoded = self.table[name].combine_chunks().dictionary_encode()
            codes.append(encoded.indices.to_numpy())
            names.append(encoded.dictionary.to_pylist())
        joined = np.ravel_multi_index(codes, [max(len(each), 1) for each in names])
        order = np.argsort(joined, kind="stable")
        starts = np.flatnonzero(np.diff(joined[order], prepend=-1))
        groups = sorted(np.split(order, starts[1:]) if len(order) else [], key=lambda rows: int(rows[0]))
        for rows in groups:
            attack, surrogate, victim = (known[code[rows[0]]] for known, code in zip(names, codes, strict=True))
            yield (attack, surrogate, victim), Outcomes(self.table.take(rows))
