"""The cost of decoding and encoding a clip, measured on a few videos with the decoder itself; nothing is kept."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Sequence
from math import sqrt
from statistics import fmean, stdev

from preprocessing.config import PreprocessConfig
from preprocessing.datasets.base import locate
from preprocessing.decoding.acceptance import DecodeError
from preprocessing.decoding.parent import DecoderProcess
from preprocessing.plan import PlannedClip
from preprocessing.settings import Settings
from preprocessing.storage.shards import tar_member

NUM_MEASURED = 8
"""Videos decoded to learn what one costs."""


class Calibration(Settings):
    """The cost of a few videos, decoded and encoded as a run does it, one after another."""

    files: tuple[str, ...]
    """The videos, relative to the root, spread evenly over those that remain."""
    rejected: dict[str, int]
    """Number of them that would be left out, by reason."""
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
    # Imported here: torch takes seconds to load, and that is no part of the cost.
    import torch

    from preprocessing.storage.sample_builder import SampleBuilder

    builder = SampleBuilder(config.format)
    roots = tuple(root.resolve() for root in config.dataset.roots)
    sizes: list[int] = []
    rejected: list[str] = []
    seconds: list[float] = []
    threads, cpu = torch.get_num_threads(), cpu_seconds()
    torch.set_num_threads(1)
    try:
        with DecoderProcess(config.decode_options, config.process_limits) as decoder:
            for clip in clips:
                path, root = locate(clip.source, roots)
                started = time.monotonic()
                try:
                    decoded = decoder.decode(path, root=root, start_seconds=clip.start_seconds)
                    members = builder.build(clip, decoded)
                except DecodeError as error:
                    rejected.append(error.reason)
                    members = {}
                sizes.append(sum(len(tar_member(f"{clip.key}.{name}", data)) for name, data in members.items()))
                seconds.append(time.monotonic() - started)
    finally:
        torch.set_num_threads(threads)
    cpu = cpu_seconds() - cpu
    clip_seconds = fmean(seconds[1:] or seconds)
    clip_share = min(clip_seconds / sum(seconds), 1 / len(clips))
    return Calibration(
        files=tuple(clip.source for clip in clips),
        rejected=dict(Counter(rejected).most_common()),
        clip_cpu_seconds=cpu * clip_share,
        clip_wall_seconds=clip_seconds,
        bytes_of_each=tuple(sizes),
        start_cpu_seconds=cpu * (1 - len(clips) * clip_share),
        start_wall_seconds=max(seconds[0] - clip_seconds, 0.0),
    )


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)
