"""The number of segments per clip that nearly all videos of a data set allow: `format.num_segments=auto`."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import Field

from preprocessing.checks.output import has_ended_without_a_clip
from preprocessing.config import PreprocessConfig
from preprocessing.datasets import Video
from preprocessing.datasets.base import locate
from preprocessing.datasets.parts import holds_clip, middle_of_part, part_seconds
from preprocessing.decoding.acceptance import DecodeError
from preprocessing.decoding.parent import DecoderProcess, Length
from preprocessing.plan import Plan
from preprocessing.reporting.heartbeat import heartbeat
from preprocessing.schema import PLAN_NAME, ClipFormat
from preprocessing.seeds import shuffling_key
from preprocessing.settings import Settings
from preprocessing.storage.store import Store

logger = logging.getLogger(__name__)

MOST_SEGMENTS = ClipFormat().num_segments
"""The most that `auto` chooses."""
MOST_PROBED = 400
"""Videos that are probed, evenly over the classes: the share of short ones is known to 2 points then."""
MOST_OF_CLASS = 20
LEAST_OF_CLASS = 2
MOST_LOST_SHARE = 0.05
"""Of all probed videos, the share that may be too short."""
MOST_LOST_SHARE_OF_CLASS = 0.2
"""The same of one class's, where it has five or more: of fewer, one may be, unless it is the only one."""


class SegmentCount(Settings):
    """The number of segments per clip, and what it costs."""

    num_segments: int
    is_recorded: bool = False
    """True if an earlier run to the same output has chosen it."""
    segment_seconds: float
    num_probed: int = 0
    """Videos of the sample whose length could be measured."""
    lost: dict[str, int] = Field(default_factory=dict)
    """Of these, the ones that are too short for so many segments, by class."""
    example: str = ""
    """One of them."""
    num_lost_with_one_more: int | None = None
    """Those that would be too short for one segment more; None if there are no more to be had."""

    @property
    def num_lost(self) -> int:
        """Videos of the sample that are too short."""
        return sum(self.lost.values())

    def __str__(self) -> str:
        chosen = f"{self.num_segments} of {self.segment_seconds:g} s (format.num_segments=auto)"
        if self.is_recorded:
            return f"{chosen}, as an earlier run to this output has chosen"
        of_classes = ", ".join(f"{count} of '{name}'" for name, count in self.lost.items())
        short = f"{self.num_lost} ({of_classes}; such as '{self.example}')" if self.lost else "none"
        said = f"{chosen}: of {self.num_probed:,} videos probed {short} would be too short"
        more = self.num_lost_with_one_more
        return said if more is None else f"{said}, {more} with one segment more"


@dataclass(frozen=True)
class Probed:
    """A video of the sample, and the most segments that it is long enough for."""

    class_name: str
    source: str
    most_segments: int


def settled(
    config: PreprocessConfig, videos: Sequence[Video], store: Store
) -> tuple[PreprocessConfig, SegmentCount | None]:
    """The settings with a plain number of segments; with `auto` the one that is recorded in `store`, or is chosen now.

    The same videos and settings give the same number.
    """
    if config.format.num_segments != "auto":
        return config, None
    count = recorded_count(config, store) or chosen_count(config, videos)
    logger.info("segments per clip: %s", count)
    return config.with_segments(count.num_segments), count


def recorded_count(config: PreprocessConfig, store: Store) -> SegmentCount | None:
    """The number that the plan of an earlier run records; None if there is none, or it makes way (`checks.output`)."""
    try:
        plan = Plan.model_validate(json.loads(store.read(PLAN_NAME)))
    except (FileNotFoundError, ValueError):  # one that cannot be read is refused later
        return None
    found = plan.settings.get("format")
    if not isinstance(found, dict) or has_ended_without_a_clip(store, plan):
        return None
    return SegmentCount(
        num_segments=found["num_segments"], is_recorded=True, segment_seconds=config.format.segment_seconds
    )


def chosen_count(config: PreprocessConfig, videos: Sequence[Video]) -> SegmentCount:
    """The largest number that loses no more of a sample than is allowed; one, if none does."""
    sample = sampled(videos, seed=config.seed)
    with heartbeat(lambda: f"the lengths of {len(sample)} videos are measured, for format.num_segments=auto"):
        found = list(probed(config, sample))
    num_segments = next(
        (number for number in range(MOST_SEGMENTS, 1, -1) if loses_few(found, number)),
        1,
    )
    lost = [each for each in found if each.most_segments < num_segments]
    return SegmentCount(
        num_segments=num_segments,
        segment_seconds=config.format.segment_seconds,
        num_probed=len(found),
        lost=dict(Counter(each.class_name for each in lost).most_common()),
        example=lost[0].source if lost else "",
        num_lost_with_one_more=sum(each.most_segments <= num_segments for each in found)
        if num_segments < MOST_SEGMENTS
        else None,
    )


def sampled(videos: Sequence[Video], *, seed: int) -> list[Video]:
    """A few videos of every class, in a random order that depends on nothing but seed and keys."""
    classes: dict[str, list[Video]] = {}
    for video in videos:
        classes.setdefault(video.class_name, []).append(video)
    of_class = max(min(MOST_OF_CLASS, MOST_PROBED // max(len(classes), 1)), LEAST_OF_CLASS)
    return [
        video
        for name in sorted(classes)
        for video in sorted(classes[name], key=lambda video: shuffling_key(seed, video.key))[:of_class]
    ]


def loses_few(found: Sequence[Probed], num_segments: int) -> bool:
    """True if so many segments lose no more than may be lost, of all videos and of each class."""
    classes: dict[str, list[bool]] = {}
    for each in found:
        classes.setdefault(each.class_name, []).append(each.most_segments < num_segments)
    return sum(map(sum, classes.values())) <= MOST_LOST_SHARE * len(found) and all(
        sum(short) <= min(max(MOST_LOST_SHARE_OF_CLASS * len(short), 1), len(short) - 1) for short in classes.values()
    )


def probed(config: PreprocessConfig, videos: Sequence[Video]) -> Iterator[Probed]:
    """The videos that can be measured: others are left out whatever the number of segments."""
    roots = tuple(root.resolve() for root in config.dataset.roots)
    wanted = config.with_segments(1)
    slack = wanted.decode_options.missing_end_seconds
    with DecoderProcess(wanted.decode_options, wanted.process_limits) as decoder:
        for video in videos:
            path, root = locate(video.source.as_posix(), roots)
            try:
                length = decoder.measure(path, root=root)
            except DecodeError:
                continue
            numbers = range(MOST_SEGMENTS, 0, -1)
            most = next((n for n in numbers if fits(video, length, n * wanted.format.segment_seconds, slack)), 0)
            yield Probed(video.class_name, video.source.as_posix(), most)


def fits(video: Video, length: Length, clip_seconds: float | int, slack_seconds: float | int) -> bool:
    """True if picture and sound last until the end of a clip of this length, laid where a run lays it.

    Filling up (`rules.missing_tail=pad`) is for the few that are shorter, so it does not count.
    """
    part = part_seconds(video)
    if part is not None:
        if not holds_clip(part, clip_seconds):
            return False
        start = middle_of_part(video, part, clip_seconds)
    elif video.start_seconds is not None:
        start = video.start_seconds
    else:
        start = max((length.video_seconds - clip_seconds) / 2, 0.0)
    return start + clip_seconds - min(length.video_seconds, length.sound_seconds) <= slack_seconds
