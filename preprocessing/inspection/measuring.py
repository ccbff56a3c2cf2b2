"""Numbers of every clip that is read: its level, motion, contrast and the age of its frames."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocessing.inspection.stored import NUM_READERS, StoredClip, StoredDataset
from preprocessing.reporting.progress import Progress
from preprocessing.schema import ClipFormat, ClipRecord
from preprocessing.storage.store import StoreError
from preprocessing.storage.stored_sample import SampleError, StoredSample

logger = logging.getLogger(__name__)

SILENCE_DBFS = -100.0
"""Said of digital silence, whose level is minus infinity; one step of 16 bit is -90 dBFS."""
GREY_PIXELS = 28
"""Frames are compared at about this size: what moves or is blank there can be seen."""


@dataclass(frozen=True)
class Measures:
    """One clip in numbers."""

    stored: StoredClip
    record: ClipRecord
    level_dbfs: float
    """Root mean square of the sound, 0 = full scale; `SILENCE_DBFS` or more."""
    frame_age_seconds: float
    """The longest time that a frame had been on screen at the middle of its segment."""
    motion_levels: float
    """Mean absolute change between neighbouring frames, in levels of 8 bit; 0 if there is one frame only."""
    contrast_levels: float
    """Standard deviation within the frames, in levels of 8 bit."""

    @property
    def coverages(self) -> dict[str, float]:
        """The fractions of the clip that real media covers, one for each stream that has it recorded."""
        return coverages(self.record)


@dataclass(frozen=True)
class Unreadable:
    """A clip that cannot be measured."""

    stored: StoredClip
    detail: str


@dataclass(frozen=True)
class Measured:
    """All clips that were read."""

    clips: tuple[Measures, ...]
    unreadable: tuple[Unreadable, ...]

    @property
    def num_read(self) -> int:
        """Clips read, damaged ones too."""
        return len(self.clips) + len(self.unreadable)


def coverages(record: ClipRecord) -> dict[str, float]:
    """The fractions that the record calls `<stream>_coverage`, by stream."""
    return {
        name.removesuffix("_coverage"): float(getattr(record, name))
        for name in type(record).model_fields
        if name.endswith("_coverage")
    }


def measure_all(dataset: StoredDataset, clips: Sequence[StoredClip]) -> Measured:
    """Measure these clips; a line tells how far it is every ten seconds."""

    def measured(clip: StoredClip) -> Measures | Unreadable:
        try:
            return measure(clip, dataset.read(clip))
        except (SampleError, StoreError, OSError) as error:
            return Unreadable(clip, str(error))

    found: list[Measures | Unreadable] = []
    progress = Progress(len(clips))
    with ThreadPoolExecutor(NUM_READERS) as pool:
        for each in pool.map(measured, clips):
            found.append(each)
            progress.add()
            if progress.is_due():
                numbers = (progress.done, progress.total, progress.rate)
                logger.info("measured %d/%d clips, %.0f clips/s, %s", *numbers, progress.time_left())
    return Measured(
        clips=tuple(each for each in found if isinstance(each, Measures)),
        unreadable=tuple(each for each in found if isinstance(each, Unreadable)),
    )


def measure(stored: StoredClip, sample: StoredSample) -> Measures:
    """The numbers of one clip.

    Raises:
        SampleError: if its record, its sound or a frame cannot be read.
    """
    record, clip_format = sample.record(), sample.clip_format
    sample.logmel()  # not measured, but a clip without it is damaged
    pixels = min(GREY_PIXELS, clip_format.frame_size)
    decoded = [sample.small_grey_frame(index, min_pixels=pixels) for index in range(clip_format.num_segments)]
    frames = np.stack(decoded).astype(np.float32)
    change = np.abs(np.diff(frames, axis=0))
    return Measures(
        stored=stored,
        record=record,
        level_dbfs=level_dbfs(sample.waveform()),
        frame_age_seconds=frame_age_seconds(record, clip_format),
        motion_levels=float(change.mean()) if change.size else 0.0,
        contrast_levels=float(frames.std(axis=(1, 2)).mean()),
    )


def level_dbfs(samples: NDArray[np.int16]) -> float:
    """Root mean square in decibels below full scale: a full-scale sine has -3.0 dBFS."""
    power = float(np.square(samples.astype(np.float64) / 32768.0).mean())
    return max(10.0 * float(np.log10(power)), SILENCE_DBFS) if power else SILENCE_DBFS


def frame_age_seconds(record: ClipRecord, clip_format: ClipFormat) -> float:
    """The longest time from a frame's presentation to the middle of its segment."""
    middles = record.start_seconds + (np.arange(len(record.frame_seconds)) + 0.5) * clip_format.segment_seconds
    return float(np.max(middles - np.asarray(record.frame_seconds), initial=0.0))
