"""The place of a clip in the part of a video that a list gives: its middle."""

from __future__ import annotations

from collections.abc import Sequence

from preprocessing.datasets.base import Video
from preprocessing.schema import Rejection

TOLERANCE_SECONDS = 1e-6
"""A part that is shorter than a clip by less is as long: the times of a list are rounded."""


def part_seconds(video: Video) -> float | None:
    """Length of the part of a video that a list gives; None if it gives no end."""
    return None if video.end_seconds is None else video.end_seconds - (video.start_seconds or 0.0)


def holds_clip(part: float | int, clip_seconds: float | int) -> bool:
    """True if a part of so many seconds is as long as a clip."""
    return part - clip_seconds >= -TOLERANCE_SECONDS


def middle_of_part(video: Video, part: float | int, clip_seconds: float | int) -> float:
    """Start in seconds of the clip in the middle of a part that holds it."""
    return round((video.start_seconds or 0.0) + max(part - clip_seconds, 0.0) / 2, 6)


def middles_of_parts(
    videos: Sequence[Video], clip_seconds: float | int
) -> tuple[tuple[Video, ...], tuple[Rejection, ...]]:
    """The videos with a start where a list gives a part of them, and those whose part is shorter than a clip."""
    placed: list[Video] = []
    rejected: list[Rejection] = []
    for video in videos:
        part = part_seconds(video)
        if part is None:
            placed.append(video)
        elif holds_clip(part, clip_seconds):
            start = middle_of_part(video, part, clip_seconds)
            placed.append(video.model_copy(update={"start_seconds": start, "end_seconds": None}))
        else:
            detail = f"its list gives {part:g} s of it, a clip has {clip_seconds:g} s"
            source = video.source.as_posix()
            rejected.append(Rejection(file=source, split=video.split, reason="too_short", detail=detail))
    return tuple(placed), tuple(rejected)
