"""Histograms of the clips' numbers: a few bins each, named so that they can be read without an axis."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from preprocessing.inspection.config import Thresholds
from preprocessing.inspection.measuring import Measures, coverages
from preprocessing.schema import ClipFormat


@dataclass(frozen=True)
class Bin:
    """One bar."""

    label: str
    """Lower edge of the bin."""
    count: int
    height: float
    """In percent of the tallest bar."""
    is_suspicious: bool


@dataclass(frozen=True)
class Histogram:
    """One distribution over the clips measured."""

    title: str
    note: str
    """The thing that is counted, and its unit."""
    bins: tuple[Bin, ...]
    summary: str
    """Smallest, median and largest value."""

    @property
    def in_words(self) -> str:
        """For who cannot see it."""
        return f"{self.title}: " + ", ".join(f"{each.label}: {each.count}" for each in self.bins if each.count)


def histograms(clips: Sequence[Measures], limits: Thresholds, clip_format: ClipFormat) -> list[Histogram]:
    """Every distribution that the page shows; none if there are no clips."""
    if not clips:
        return []
    return [
        *coverage(clips, limits),
        loudness(clips, limits),
        saturation(clips, limits),
        frame_age(clips, limits),
        *motion(clips, limits, clip_format),
        start(clips),
        decode_errors(clips, limits),
    ]


def coverage(clips: Sequence[Measures], limits: Thresholds) -> list[Histogram]:
    """Share of the clip that each stream covers."""
    return [
        histogram(
            f"Coverage by {stream}",
            f"share of the clip that real {stream} covers, in %",
            [100 * clip.coverages[stream] for clip in clips],
            edges=(0, 50, 60, 70, 80, 90, 95, 99, 99.99),
            labels=("0", "50", "60", "70", "80", "90", "95", "99", "100"),
            is_suspicious=lambda lower, upper: upper <= 100 * limits.min_coverage,
        )
        for stream in coverages(clips[0].record)
    ]


def loudness(clips: Sequence[Measures], limits: Thresholds) -> Histogram:
    """Level of the stored audio."""
    return histogram(
        "Loudness",
        "root mean square of the sound, dBFS",
        [clip.level_dbfs for clip in clips],
        edges=(-100, -60, -54, -48, -42, -36, -30, -24, -18, -12, -6),
        labels=("silent", "-60", "-54", "-48", "-42", "-36", "-30", "-24", "-18", "-12", "-6"),
        is_suspicious=lambda lower, upper: upper <= limits.silence_dbfs,
    )


def saturation(clips: Sequence[Measures], limits: Thresholds) -> Histogram:
    """Share of log-mel values that are clipped."""
    return histogram(
        "Saturation",
        "log-mel values clipped at the top, in %",
        [100 * clip.record.saturation_share for clip in clips],
        edges=(0, 1e-9, 0.01, 0.1, 1, 10),
        labels=("0", "> 0", "0.01", "0.1", "1", "10"),
        is_suspicious=lambda lower, upper: lower >= 100 * limits.max_saturation_share,
    )


def frame_age(clips: Sequence[Measures], limits: Thresholds) -> Histogram:
    """Time that frames had been on screen when they were taken."""
    return histogram(
        "Age of frames",
        "longest time a frame had been shown at its segment's middle, ms",
        [1000 * clip.frame_age_seconds for clip in clips],
        edges=(0, 10, 20, 40, 80, 160, 500, 1000),
        labels=("0", "10", "20", "40", "80", "160", "500", "1000"),
        is_suspicious=lambda lower, upper: lower >= 1000 * limits.max_frame_age_seconds,
    )


def start(clips: Sequence[Measures]) -> Histogram:
    """Time in the video at which clips begin."""
    return histogram(
        "Start of the clip",
        "seconds into its video",
        [clip.record.start_seconds for clip in clips],
        edges=(float("-inf"), -0.005, 0.005, 0.1, 0.5, 1, 5, 10, 60),
        labels=("< 0", "0", "> 0", "0.1", "0.5", "1", "5", "10", "60"),
    )


def decode_errors(clips: Sequence[Measures], limits: Thresholds) -> Histogram:
    """Packets that did not decode."""
    return histogram(
        "Decode errors",
        "packets of a clip that did not decode",
        [clip.record.decode_errors for clip in clips],
        edges=(0, 1, 2, 3, 5, 10),
        labels=("0", "1", "2", "3", "5", "10"),
        is_suspicious=lambda lower, upper: lower > limits.max_decode_errors,
    )


def motion(clips: Sequence[Measures], limits: Thresholds, clip_format: ClipFormat) -> list[Histogram]:
    """Distribution of motion; none if a clip has no frames to compare."""
    if clip_format.num_segments < 2:
        return []
    return [
        histogram(
            "Motion",
            "mean change between neighbouring frames, levels of 255",
            [clip.motion_levels for clip in clips],
            edges=(0, 0.5, 1, 2, 4, 8, 16, 32, 64),
            labels=("0", "0.5", "1", "2", "4", "8", "16", "32", "64"),
            is_suspicious=lambda lower, upper: upper <= limits.min_motion_levels,
        )
    ]


def never(lower: float | int, upper: float | int) -> bool:
    """No bin is suspicious."""
    return False


def histogram(
    title: str,
    note: str,
    values: Sequence[float | int],
    *,
    edges: Sequence[float | int],
    labels: Sequence[str],
    is_suspicious: Callable[[float | int, float | int], bool] = never,
) -> Histogram:
    """Count values into bins that begin at `edges`; the last one has no end, the first one takes all below it."""
    counts = [0] * len(edges)
    for value in values:
        counts[max(bisect_right(edges, value) - 1, 0)] += 1
    uppers = [*edges[1:], float("inf")]
    bins = tuple(
        Bin(label, count, 100 * count / max(counts), is_suspicious(lower, upper))
        for label, count, lower, upper in zip(labels, counts, edges, uppers, strict=True)
    )
    summary = f"smallest {short(min(values))}, median {short(median(values))}, largest {short(max(values))}"
    return Histogram(title, note, bins, summary)


def short(value: float | int) -> str:
    """Three digits, or all of those before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
