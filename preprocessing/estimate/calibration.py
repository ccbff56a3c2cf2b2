"""The cost of decoding and encoding a clip, measured on a few videos with the decoder itself; nothing is kept."""

from __future__ import annotations

import resource
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from statistics import fmean, stdev

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from preprocessing.config import PreprocessConfig
from preprocessing.datasets.base import locate
from preprocessing.decoding.acceptance import DecodeError
from preprocessing.decoding.parent import DecoderProcess, EncodedClip
from preprocessing.plan import PlannedClip
from preprocessing.schema import ClipFormat
from preprocessing.settings import Settings
from preprocessing.storage.sample_builder import members_of, segments_of
from preprocessing.storage.shards import tar_member

NUM_MEASURED = 8
"""Videos decoded to learn what one costs."""
TOO_SHORT = ("too_short", "sound_ends_early")
"""Reasons for leaving out a video that fewer or shorter segments would mend."""


class Calibration(Settings):
    """The cost of a few videos, decoded and encoded as a run does it, one after another."""

    files: tuple[str, ...]
    """The videos, relative to the root, spread evenly over those that remain."""
    rejected: dict[str, int]
    """Number of them that would be left out, by reason."""
    fitting_segments: int | None = None
    """The most segments with which none of them is too short; None if none is now, or even one segment is too long."""
    clip_cpu_seconds: float
    clip_wall_seconds: float
    bytes_of_each: tuple[int, ...]
    """Size of each as a stored sample; one that is left out has none."""
    start_cpu_seconds: float
    """Cost of the decoder process of a shard before its first clip."""
    start_wall_seconds: float

    @property
    def clip_bytes(self) -> float:
        """Mean size of a stored sample; 0 if nothing was measured."""
        return fmean(self.bytes_of_each) if self.bytes_of_each else 0.0

    @property
    def clip_bytes_error(self) -> float:
        """Two standard errors of that mean; 0 for a single video."""
        sizes = self.bytes_of_each
        return 2 * stdev(sizes) / sqrt(len(sizes)) if len(sizes) > 1 else 0.0


NOTHING = Calibration(
    files=(),
    rejected={},
    clip_cpu_seconds=0,
    clip_wall_seconds=0,
    bytes_of_each=(),
    start_cpu_seconds=0,
    start_wall_seconds=0,
)
"""Measured if no video remains."""


def spread(clips: Sequence[PlannedClip], count: int) -> list[PlannedClip]:
    """At most `count` clips, evenly over the plan, which mixes the classes."""
    step = max(len(clips) / count, 1.0)
    return [clips[int((index + 0.5) * step)] for index in range(min(count, len(clips)))]


def calibrate(config: PreprocessConfig, clips: Sequence[PlannedClip]) -> Calibration:
    """Do with these clips what a shard's task does, but keep nothing.

    What the first clip takes longer than the others is the start of the decoder process; of a single clip it is not
    told apart. CPU time is divided between start and clips as time is: of the decoder process only its sum is known.
    """
    roots = tuple(root.resolve() for root in config.dataset.roots)
    sizes: list[int] = []
    rejected: list[str] = []
    too_short: list[PlannedClip] = []
    seconds: list[float] = []
    cpu = cpu_seconds()
    with DecoderProcess(config.decode_options, config.process_limits) as decoder:
        for clip in clips:
            path, root = locate(clip.source, roots)
            started = time.monotonic()
            try:
                decoded = decoder.decode(path, root=root, start_seconds=clip.start_seconds)
                members = members_of(clip, decoded, patches_like(decoded, config.clip_format))
            except DecodeError as error:
                rejected.append(error.reason)
                too_short += [clip] if error.reason in TOO_SHORT else []
                members = {}
            sizes.append(sum(len(tar_member(f"{clip.key}.{name}", data)) for name, data in members.items()))
            seconds.append(time.monotonic() - started)
    cpu = cpu_seconds() - cpu
    fitting = fitting_segments(config, too_short) if too_short else None
    clip_seconds = fmean(seconds[1:] or seconds)
    clip_share = min(clip_seconds / sum(seconds), 1 / len(clips))
    return Calibration(
        files=tuple(clip.source for clip in clips),
        rejected=dict(Counter(rejected).most_common()),
        fitting_segments=fitting,
        clip_cpu_seconds=cpu * clip_share,
        clip_wall_seconds=clip_seconds,
        bytes_of_each=tuple(sizes),
        start_cpu_seconds=cpu * (1 - len(clips) * clip_share),
        start_wall_seconds=max(seconds[0] - clip_seconds, 0.0),
    )


def patches_like(clip: EncodedClip, clip_format: ClipFormat) -> NDArray[np.float16]:
    """Patches `[segments, mels, steps]` of the size of the log-mel ones and at about their cost.

    They are made by numpy: loading torch would take ten times as long as all the rest of an estimate.
    """
    segments = segments_of(clip, clip_format)
    padded = np.pad(segments, ((0, 0), (0, clip_format.n_fft)))
    windows = sliding_window_view(padded, clip_format.n_fft, axis=1)[:, :: clip_format.hop_length][
        :, : clip_format.steps
    ]
    spectrum = np.fft.rfft(windows)
    power = spectrum.real**2 + spectrum.imag**2
    filters = np.full((power.shape[-1], clip_format.num_mels), 1 / clip_format.n_fft**2, power.dtype)
    return np.clip(np.log10(power @ filters + 1e-6), 0, 1).transpose(0, 2, 1).astype(np.float16)


def fitting_segments(config: PreprocessConfig, clips: Sequence[PlannedClip]) -> int | None:
    """The most segments, fewer than now, with which none of these clips is too short; None if one segment is too long.

    The decoder itself says so, by bisection: a clip that is long enough for some segments is so for fewer.
    """
    roots = tuple(root.resolve() for root in config.dataset.roots)

    def fits(num_segments: int) -> bool:
        options = replace(config.decode_options, num_segments=num_segments)
        with DecoderProcess(options, config.process_limits) as decoder:
            for clip in clips:
                path, root = locate(clip.source, roots)
                try:
                    decoder.decode(path, root=root, start_seconds=clip.start_seconds)
                except DecodeError as error:
                    if error.reason in TOO_SHORT:
                        return False
        return True

    most = bisect_left(range(1, config.clip_format.num_segments), True, key=lambda number: not fits(number))
    return most or None


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)
