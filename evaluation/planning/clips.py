"""The clips that are measured: the index of their data set, looked at before any work starts."""

from __future__ import annotations

from preprocessing.errors import DataError, SettingsError
from preprocessing.schema import DatasetIndex, Split
from preprocessing.storage.records import load_index
from training.threat import ThreatModel


def open_data(data: str, split: Split, threat: ThreatModel) -> DatasetIndex:
    """The index of a data set whose clips can be attacked under a threat.

    Raises:
        UserError: as `index_with_clips` says, or if the threat names a segment that clips do not have.
    """
    index = index_with_clips(data, split)
    touched = threat.segments
    if touched and touched[-1] >= index.format.num_segments:
        raise SettingsError(
            f"threat {threat} names segment {touched[-1]}, but the clips of '{data}' have "
            f"{index.format.num_segments} segments (from 0)"
        )
    return index


def measured_clips(index: DatasetIndex, split: Split, limit: int | None) -> int:
    """The number of clips that are measured: all of the split, or the first so many."""
    return min(index.num_clips[split], limit or index.num_clips[split])


def index_with_clips(data: str, split: Split) -> DatasetIndex:
    """The index of a data set that has clips in the split.

    Raises:
        UserError: if the data set is not finished, or the split is empty.
    """
    index = load_index(data)
    if not index.num_clips.get(split):
        counts = ", ".join(f"{name}: {count}" for name, count in index.num_clips.items())
        raise DataError(f"split '{split}' of '{data}' has no clips (it has {counts}); choose another split")
    return index
