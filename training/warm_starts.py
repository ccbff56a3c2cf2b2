"""Where crafting ended with every training clip, from one epoch to the next."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from preprocessing.schema import ClipFormat, DatasetIndex
from training.batch import MODALITIES, Batch, Modality, Starts, per_clip
from training.data import MIB, StoredSplit
from training.threat import AudioDomain
from training.worker import Worker

LARGEST = 127
"""Whole numbers of 8 bits reach so far on either side."""

Shapes = dict[Modality, tuple[int, ...]]


class WarmStarts:
    """Where the crafting of each clip ended in the last epoch, the same in every worker.

    A value takes one byte: it is rounded to the nearest of 255 levels, evenly spread over the range of its clip and
    modality, which is off by at most 1/254 of the largest value. So a clip's start depends on that clip alone.

    While an epoch runs, a clip's new end takes the place of its old one. Its own worker knows it at once, the others
    when they `exchange`.
    """

    def __init__(self, keys: Sequence[str], shapes: Shapes, *, said_at_once: int = 64 * MIB) -> None:
        """Room for these clips, whose streams have these shapes without the batch; none has a start.

        Workers say about `said_at_once` bytes at a time, at least one clip's: all of them are in memory together.
        """
        self._rows = {key: row for row, key in enumerate(keys)}
        self._levels = {name: torch.zeros(len(keys), *shape, dtype=torch.int8) for name, shape in shapes.items()}
        self._largest = {name: torch.zeros(len(keys)) for name in shapes}
        self._is_known = torch.zeros(len(keys), dtype=torch.bool)
        self._is_new = torch.zeros(len(keys), dtype=torch.bool)
        self._unsaid: list[int] = []
        self._num_said = max(1, said_at_once // bytes_per_clip(shapes))

    @classmethod
    def of(cls, split: StoredSplit) -> WarmStarts:
        """Room for all clips of a split."""
        return cls([place.key for _, place in split.clips], shapes_of(split.index.format, split.audio_domain))

    def give(self, batch: Batch) -> Batch:
        """The clips with the starts that are known of them, on their device."""
        rows = self._rows_of(batch.keys)
        is_known = self._is_known[rows]
        values = {
            name: restored(levels[rows], self._largest[name][rows] * is_known) for name, levels in self._levels.items()
        }
        return batch.with_starts(Starts(**values, is_known=is_known).to(batch.video.device))

    def keep(self, keys: Sequence[str], reached: Starts) -> None:
        """Note where these clips' crafting has ended in the running epoch."""
        rows = self._rows_of(keys)
        for name in MODALITIES:
            levels, largest = rounded(reached.stream(name).float())
            self._levels[name][rows], self._largest[name][rows] = levels.cpu(), largest.cpu()
        self._is_new[rows] = True
        self._unsaid += rows.tolist()

    def exchange(self, worker: Worker) -> None:
        """Learn what the other workers have kept; every worker must call this."""
        num_rounds = max(worker.all_gather(math.ceil(len(self._unsaid) / self._num_said)))
        for number in range(num_rounds):
            rows = torch.tensor(self._unsaid[number * self._num_said :][: self._num_said], dtype=torch.long)
            for kept, ends in worker.all_gather((rows, self._ends(rows))):
                self._set_ends(kept, ends)
                self._is_new[kept] = True
        self._unsaid = []

    def end_epoch(self, worker: Worker) -> None:
        """Exchange, and begin from here in the next epoch; clips that this one has left out have no start then."""
        self.exchange(worker)
        self._is_known, self._is_new = self._is_new, torch.zeros_like(self._is_new)

    def state(self) -> dict[str, Tensor]:
        """Everything, to be stored at once; the same in every worker right after an exchange."""
        return {**self._ends(slice(None)), "is_known": self._is_known, "is_new": self._is_new}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Be as when `state` was told."""
        self._set_ends(slice(None), state)
        self._is_known, self._is_new = state["is_known"].clone(), state["is_new"].clone()
        self._unsaid = []

    def _ends(self, rows: Tensor | slice) -> dict[str, Tensor]:
        levels = {f"{name}_levels": levels[rows] for name, levels in self._levels.items()}
        return levels | {f"{name}_largest": largest[rows] for name, largest in self._largest.items()}

    def _set_ends(self, rows: Tensor | slice, ends: dict[str, Tensor]) -> None:
        for name in MODALITIES:
            self._levels[name][rows] = ends[f"{name}_levels"]
            self._largest[name][rows] = ends[f"{name}_largest"]

    def _rows_of(self, keys: Sequence[str]) -> Tensor:
        return torch.tensor([self._rows[key] for key in keys])


def rounded(values: Float[Tensor, "batch *shape"]) -> tuple[Int8[Tensor, "batch *shape"], Float[Tensor, " batch"]]:
    """Each value's level in [-127, 127], and the largest absolute value of each clip, which is level 127."""
    largest = values.flatten(1).abs().amax(1)
    unit = largest.clamp_min(torch.finfo(values.dtype).tiny) / LARGEST
    return (values / per_clip(unit, values)).round().clamp(-LARGEST, LARGEST).to(torch.int8), largest


def restored(levels: Int8[Tensor, "batch *shape"], largest: Float[Tensor, " batch"]) -> Float[Tensor, "batch *shape"]:
    """The values of `rounded`, off by at most 1/254 of each clip's largest."""
    values = levels.to(largest.dtype)
    return values * per_clip(largest / LARGEST, values)


def shapes_of(clip: ClipFormat, audio_domain: AudioDomain) -> Shapes:
    """Shapes of one clip's frames and sound."""
    patch = (clip.num_mels, clip.steps) if audio_domain == "logmel" else (clip.segment_samples,)
    return {
        "video": (clip.num_segments, 3, clip.frame_size, clip.frame_size),
        "audio": (clip.num_segments, *patch),
    }


def bytes_per_clip(shapes: Shapes) -> int:
    """Memory for the start of one clip: a byte for each value."""
    return sum(math.prod(shape) for shape in shapes.values())


def check_memory(index: DatasetIndex, audio_domain: AudioDomain, *, limit_mib: int) -> None:
    """Refuse a training split that has more values than may be kept.

    Raises:
        ValueError: with what is needed, what is allowed and what to change.
    """
    each, num_clips = bytes_per_clip(shapes_of(index.format, audio_domain)), index.num_clips["train"]
    needed = math.ceil(num_clips * each / MIB)
    if needed > limit_mib:
        raise ValueError(
            f"crafting.warm_start=true keeps {each:,} bytes of each of {num_clips:,} clips, {needed:,} MiB in every "
            f"worker and stored state; allowed: warm_start_mib={limit_mib}. Raise it, or set warm_start=false"
        )
