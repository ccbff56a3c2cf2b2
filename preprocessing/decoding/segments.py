"""The grid of a clip's segments in time, and the frames and samples that belong to each.

All times are seconds on the video clock: 0 is the first shown frame. Numpy only: the decoder process stays light.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A frame whose time equals a segment's middle is on screen there, whatever the rounding of the two floats.
TIME_TOLERANCE_SECONDS = 1e-6


@dataclass(frozen=True)
class Grid:
    """The segments of one clip: `num_segments` of `segment_seconds`, the first one starting at `start_seconds`."""

    num_segments: int
    segment_seconds: float
    sample_rate_hz: int
    start_seconds: float = 0.0

    @property
    def end_seconds(self) -> float:
        """End of the last segment."""
        return self.start_seconds + self.num_segments * self.segment_seconds

    @property
    def num_samples(self) -> int:
        """Waveform samples of the whole clip."""
        return self.num_segments * round(self.segment_seconds * self.sample_rate_hz)

    @property
    def middles(self) -> NDArray[np.float64]:
        """The middle of each segment, where its frame is taken: `[segments]`."""
        return np.asarray(self.start_seconds + (np.arange(self.num_segments) + 0.5) * self.segment_seconds, np.float64)


def frames_on_screen(shown_seconds: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index of the frame on screen at each time: the last one that was shown by then (the first one before that).

    `shown_seconds` is sorted.
    """
    return np.maximum(np.searchsorted(shown_seconds, times + TIME_TOLERANCE_SECONDS, side="right") - 1, 0)


@dataclass(frozen=True)
class Sound:
    """Resampled samples that belong together: no jump inside, the first one at `start_seconds`."""

    start_seconds: float
    samples: NDArray[np.float32]
    """Mono, full scale is [-1, 1]: `[samples]`."""
    drift: float = 0.0
    """Share by which the samples last longer by their stamps than by their rate."""


def place_on_grid(sounds: Iterable[Sound], grid: Grid) -> tuple[NDArray[np.float32], float]:
    """The clip's waveform `[num_samples]`, and the share of it that real sound covers; the rest is zero.

    Every sound lies where its own time puts it, whatever came before; a later one wins where two overlap.
    """
    waveform = np.zeros(grid.num_samples, dtype=np.float32)
    covered = np.zeros(grid.num_samples, dtype=np.bool_)
    for sound in sounds:
        first = round((sound.start_seconds - grid.start_seconds) * grid.sample_rate_hz)
        begin, end = max(first, 0), min(first + len(sound.samples), grid.num_samples)
        if begin < end:
            waveform[begin:end] = sound.samples[begin - first : end - first]
            covered[begin:end] = True
    return waveform, float(covered.mean())


def to_int16(waveform: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples in [-1, 1] as 16-bit integers; `samples / 32768` gives them back to within half a step."""
    return np.asarray(np.clip(np.rint(waveform * 32768.0), -32768, 32767), np.int16)
