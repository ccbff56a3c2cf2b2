"""Counts of clips: stored ones by class and split, those left out by reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from preprocessing.inspection.stored import StoredDataset
from preprocessing.schema import Rejection, Split

NUM_EXAMPLES = 10
"""Rejected files named for each reason."""


@dataclass(frozen=True)
class Count:
    """A number and its bar."""

    number: int
    width: float
    """In percent of a full bar."""


def with_bars(numbers: list[tuple[str, int]], *, full: int) -> list[tuple[str, Count]]:
    """Each number with its bar, which is full at `full`."""
    return [(name, Count(number, 100 * number / full)) for name, number in numbers]


@dataclass(frozen=True)
class ClassCounts:
    """Clips of one class."""

    name: str
    splits: dict[Split, Count]


@dataclass(frozen=True)
class ReasonCounts:
    """Clips left out for one reason."""

    reason: str
    count: Count
    examples: tuple[Rejection, ...]


def class_counts(dataset: StoredDataset) -> list[ClassCounts]:
    """Stored clips of every class in every split, in label order; labels that no class has come last."""
    numbers = Counter((clip.split, clip.sample.label) for clip in dataset.clips)
    labels = sorted({*range(len(dataset.classes)), *(label for _, label in numbers)})
    longest = {split: max((numbers[split, label] for label in labels), default=0) or 1 for split in dataset.num_clips}
    return [
        ClassCounts(
            dataset.class_name(label),
            {
                split: Count(numbers[split, label], 100 * numbers[split, label] / longest[split])
                for split in dataset.num_clips
            },
        )
        for label in labels
    ]


def reason_counts(dataset: StoredDataset) -> list[ReasonCounts]:
    """Clips left out by reason, the most frequent first, each with a few files."""
    numbers = Counter(rejection.reason for rejection in dataset.rejected).most_common()
    return [
        ReasonCounts(reason, count, tuple([each for each in dataset.rejected if each.reason == reason][:NUM_EXAMPLES]))
        for reason, count in with_bars(numbers, full=max((number for _, number in numbers), default=0))
    ]
