"""Suspicious clips: the limits that each of them breaks, and the worst of every kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from preprocessing.inspection.config import Thresholds
from preprocessing.inspection.measuring import Measures
from preprocessing.inspection.sampling import in_turn
from preprocessing.schema import ClipFormat


@dataclass(frozen=True)
class Suspicion:
    """One thing about a clip that its reader should look at."""

    kind: str
    """The same words for all clips with this trouble: `silent`."""
    detail: str
    """With the number: `sound at -87 dBFS`."""
    severity: float
    """Larger is worse, among those of one kind."""


def suspicions(clip: Measures, limits: Thresholds, clip_format: ClipFormat) -> tuple[Suspicion, ...]:
    """All that is suspicious about one clip."""
    record = clip.record
    found = [
        Suspicion(f"little {stream}", f"{stream} covers {100 * share:.0f} % of the clip", 1 - share)
        for stream, share in clip.coverages.items()
        if share < limits.min_coverage
    ]
    if clip.level_dbfs < limits.silence_dbfs:
        found.append(Suspicion("silent", f"sound at {clip.level_dbfs:.0f} dBFS", -clip.level_dbfs))
    if record.decode_errors > limits.max_decode_errors:
        packets = f"{record.decode_errors} packet{'s' if record.decode_errors > 1 else ''} did not decode"
        found.append(Suspicion("decode errors", packets, float(record.decode_errors)))
    if record.missing_frames > limits.max_missing_frames:
        frames = f"{record.missing_frames} frame{'s' if record.missing_frames > 1 else ''} did not decode"
        found.append(Suspicion("missing frames", frames, float(record.missing_frames)))
    if record.saturation_share > limits.max_saturation_share:
        share = record.saturation_share
        found.append(Suspicion("saturated", f"{100 * share:.1f} % of the log-mel is clipped", share))
    if clip.frame_age_seconds > limits.max_frame_age_seconds:
        age = clip.frame_age_seconds
        found.append(Suspicion("picture hangs", f"a frame is {age:.2f} s old at its segment's middle", age))
    if clip.contrast_levels < limits.min_contrast_levels:
        blank = f"contrast of {clip.contrast_levels:.1f} levels of 255"
        found.append(Suspicion("blank picture", blank, -clip.contrast_levels))
    elif clip.motion_levels < limits.min_motion_levels and clip_format.num_segments > 1:
        still = f"frames differ by {clip.motion_levels:.2f} levels of 255"
        found.append(Suspicion("still picture", still, -clip.motion_levels))
    return tuple(found)


@dataclass(frozen=True)
class Trouble:
    """All suspicious clips of those measured."""

    clips: tuple[tuple[Measures, tuple[Suspicion, ...]], ...]

    @property
    def counts(self) -> list[tuple[str, int]]:
        """Clips by kind of trouble, the most frequent first; a clip counts once for each kind it has."""
        return Counter(each.kind for _, found in self.clips for each in found).most_common()

    def worst(self, count: int) -> list[Measures]:
        """At most `count` clips to show: each kind of trouble in turn, the worst first."""
        listed = sorted(
            ((suspicion, clip) for clip, found in self.clips for suspicion in found),
            key=lambda pair: (-pair[0].severity, pair[1].record.key),
        )
        turns = in_turn(listed, kind=lambda pair: pair[0].kind)
        unique = {clip.stored: clip for _, clip in turns}
        return list(islice(unique.values(), count))


def find_trouble(clips: Sequence[Measures], limits: Thresholds, clip_format: ClipFormat) -> Trouble:
    """The clips that are suspicious."""
    checked = ((clip, suspicions(clip, limits, clip_format)) for clip in clips)
    return Trouble(tuple((clip, found) for clip, found in checked if found))
