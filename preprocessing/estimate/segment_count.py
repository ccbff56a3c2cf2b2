"""The number of segments per clip that nearly all videos of a data set allow: `format.num_segments=auto`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from preprocessing.checks.output import has_ended_without_a_clip
from preprocessing.config import PreprocessConfig
from preprocessing.datasets import Video
from preprocessing.datasets.accounting import some
from preprocessing.datasets.base import locate
from preprocessing.datasets.parts import holds_clip, middle_of_part, part_seconds
from preprocessing.decoding.acceptance import DecodeError
from preprocessing.decoding.opened_video import Length, OpenedVideo
from preprocessing.decoding.parent import DecoderProcess
from preprocessing.errors import DataError
from preprocessing.plan import load_plan
from preprocessing.reporting.heartbeat import heartbeat
from preprocessing.schema import ClipFormat
from preprocessing.seeds import shuffling_key
from preprocessing.settings import Settings
from preprocessing.storage.store import Store

logger = logging.getLogger(__name__)

MOST_SEGMENTS = ClipFormat().num_segments
"""The most that `auto` chooses."""
MOST_PROBED = 400
"""Videos that are probed, evenly over the classes: the share of short ones is known to 2 points then."""
MOST_OF_CLASS = 20
"""Videos of a class that are probed, if it is one of few, or many of it are short."""
LEAST_OF_CLASS = 2
MOST_LOST_SHARE = 0.05
"""Of all videos, the share that may be too short, as the samples tell."""
MOST_LOST_SHARE_OF_CLASS = 0.2
"""The same of one class's sample, where it has five or more: of fewer, one may be, unless it is the only one."""


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
        of_classes = some([f"{count} of '{name}'" for name, count in self.lost.items()])
        short = f"{self.num_lost} ({of_classes}; such as '{self.example}')" if self.lost else "none"
        said = f"{chosen}: of {self.num_probed:,} videos probed {short} would be too short"
        more = self.num_lost_with_one_more
        return said if more is None else f"{said}, {more} with one segment more"


@dataclass(frozen=True)
class ClassSample:
    """The most segments that each of some videos of a class is long enough for."""

    size: float | int
    """Videos of the class that can be measured, as far as the sample tells."""
    probed: dict[str, int]
    """Segments by the key of the video."""

    def short(self, num_segments: int) -> list[str]:
        """The probed videos that are too short for so many."""
        return [key for key, most in self.probed.items() if most < num_segments]

    def loses_few(self, num_segments: int) -> bool:
        """True if no more of the probed are too short than may be."""
        num_probed = len(self.probed)
        most = min(max(MOST_LOST_SHARE_OF_CLASS * num_probed, 1), max(num_probed - 1, 0))
        return len(self.short(num_segments)) <= most


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
        plan = load_plan(store)
    except (FileNotFoundError, DataError):  # one that cannot be read is refused later
        return None
    found = plan.settings.get("format")
    if not isinstance(found, dict) or has_ended_without_a_clip(store, plan):
        return None
    return SegmentCount(
        num_segments=found["num_segments"], is_recorded=True, segment_seconds=config.format.segment_seconds
    )


def chosen_count(config: PreprocessConfig, videos: Sequence[Video]) -> SegmentCount:
    """The largest number that loses no more of a sample than is allowed; one, if none does."""
    classes: dict[str, list[Video]] = {}
    for video in sorted(videos, key=lambda video: shuffling_key(config.seed, video.key)):
        classes.setdefault(video.class_name, []).append(video)
    with heartbeat(lambda: "the lengths of some videos are measured, for format.num_segments=auto"):
        samples = samples_of(classes, lambda some: dict(probed(config, some)))
    number = largest(lambda number: loses_few(samples, number))
    short = {name: samples[name].short(number) for name in sorted(samples)}
    lost = {name: keys for name, keys in sorted(short.items(), key=lambda each: -len(each[1])) if keys}
    first_lost = next((key for keys in lost.values() for key in keys), None)
    with_one_more = sum(len(sample.short(number + 1)) for sample in samples.values())
    return SegmentCount(
        num_segments=number,
        segment_seconds=config.format.segment_seconds,
        num_probed=sum(len(sample.probed) for sample in samples.values()),
        lost={name: len(keys) for name, keys in lost.items()},
        example=next((video.source.as_posix() for video in videos if video.key == first_lost), ""),
        num_lost_with_one_more=with_one_more if number < MOST_SEGMENTS else None,
    )


def samples_of(
    classes: Mapping[str, Sequence[Video]], probe: Callable[[Sequence[Video]], dict[str, int]]
) -> dict[str, ClassSample]:
    """A few videos of every class, and more of a class of which too many are short, so that no chance decides.

    The videos of a class stand in an order that depends on nothing but seed and keys.
    """
    of_class = max(min(MOST_OF_CLASS, MOST_PROBED // max(len(classes), 1)), LEAST_OF_CLASS)
    first = probe([video for videos in classes.values() for video in videos[:of_class]])

    def sample(name: str, found: Mapping[str, int], asked: int) -> ClassSample:
        videos = classes[name]
        measured = {each.key: found[each.key] for each in videos[:asked] if each.key in found}
        return ClassSample(len(videos) * len(measured) / min(asked, len(videos)), measured)

    samples = {name: sample(name, first, of_class) for name in classes}
    number = largest(lambda number: loses_few_of_all(samples, number))
    suspects = [name for name, each in samples.items() if not each.loses_few(number)]
    more = probe([video for name in suspects for video in classes[name][of_class:MOST_OF_CLASS]])
    return samples | {name: sample(name, first | more, MOST_OF_CLASS) for name in suspects}


def largest(is_allowed: Callable[[int], bool]) -> int:
    """The largest number of segments that is allowed; one, if none is."""
    return next((number for number in range(MOST_SEGMENTS, 1, -1) if is_allowed(number)), 1)


def loses_few(samples: Mapping[str, ClassSample], num_segments: int) -> bool:
    """True if so many segments lose no more than may be lost, of all videos and of each class."""
    return loses_few_of_all(samples, num_segments) and all(each.loses_few(num_segments) for each in samples.values())


def loses_few_of_all(samples: Mapping[str, ClassSample], num_segments: int) -> bool:
    """The same of all videos: of each class as many as its sample tells."""
    known = [each for each in samples.values() if each.probed]
    lost = sum(each.size * len(each.short(num_segments)) / len(each.probed) for each in known)
    return lost <= MOST_LOST_SHARE * sum(each.size for each in known) + 1e-9


def probed(config: PreprocessConfig, videos: Sequence[Video]) -> Iterator[tuple[str, int]]:
    """Key and most segments of the videos that can be measured: others are left out whatever the number is."""
    roots = tuple(root.resolve() for root in config.dataset.roots)
    wanted = config.with_segments(1)
    slack = wanted.decode_options.missing_end_seconds - wanted.decode_options.offset_seconds
    with DecoderProcess(wanted.decode_options, wanted.process_limits) as decoder:
        for video in videos:
            path, root = locate(video.source.as_posix(), roots)
            try:
                with OpenedVideo(decoder, path, root=root) as opened:
                    length = opened.length
            except DecodeError:
                continue
            numbers = range(MOST_SEGMENTS, 0, -1)
            most = next((n for n in numbers if fits(video, length, n * wanted.format.segment_seconds, slack)), 0)
            yield video.key, most


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
