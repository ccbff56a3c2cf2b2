from __future__ import annotations

from dataclasses import replace

from preprocessing.inspection.counts import NUM_EXAMPLES, class_counts, reason_counts
from preprocessing.inspection.stored import StoredDataset
from preprocessing.schema import Rejection


def test_each_class_is_counted_in_each_split(tiny: StoredDataset) -> None:
    rows = class_counts(tiny)
    assert [row.name for row in rows] == list(tiny.classes)
    for row in rows:
        assert {split: count.number for split, count in row.splits.items()} == {"train": 6, "validation": 2, "test": 2}
        assert all(count.width == 100 for count in row.splits.values())


def test_a_class_without_clips_is_listed_and_a_label_without_a_class_too(tiny: StoredDataset) -> None:
    """The classes are cut to two and the records to validation: labels 2 and 3 have no name."""
    records = tuple(record for record in tiny.records if record.split == "validation")
    rows = class_counts(replace(tiny, classes=("a", "b"), records=records))
    assert [row.name for row in rows] == ["a", "b", "label 2", "label 3"]
    assert [(row.splits["train"].number, row.splits["train"].width) for row in rows] == [(0, 0.0)] * 4
    empty = class_counts(replace(tiny, records=()))
    assert [row.splits["test"].number for row in empty] == [0, 0, 0, 0]


def test_reasons_come_most_frequent_first_each_with_a_few_files(tiny: StoredDataset) -> None:
    rejected = [Rejection(file=f"{n}.mp4", split="train", reason="timeout", detail="") for n in range(30)]
    rejected += [Rejection(file=f"x{n}.mp4", split="train", reason="crash", detail="") for n in range(3)]
    first, second = reason_counts(replace(tiny, rejected=tuple(rejected)))
    assert (first.reason, first.count.number, first.count.width) == ("timeout", 30, 100)
    assert (second.reason, second.count.number, second.count.width) == ("crash", 3, 10)
    assert (len(first.examples), len(second.examples)) == (NUM_EXAMPLES, 3)
