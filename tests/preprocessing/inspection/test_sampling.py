from __future__ import annotations

from collections import Counter

from preprocessing.inspection.sampling import draw, draw_of_each_class, in_turn
from preprocessing.inspection.stored import StoredClip
from preprocessing.schema import StoredKey


def clips(**num_clips: int) -> list[StoredClip]:
    """So many clips of each class, classes in order."""
    return [
        StoredClip(
            "train/000000.tar",
            "train",
            StoredKey(source_sha256="", key=f"{name}{number}", label=label, offset=0, length=0),
        )
        for label, (name, count) in enumerate(num_clips.items())
        for number in range(count)
    ]


def labels(drawn: list[StoredClip]) -> Counter[int]:
    return Counter(clip.sample.label for clip in drawn)


def test_the_sheet_has_clips_of_every_class_in_turn() -> None:
    """Class b has two clips; the other two share what is left of nine: four and three."""
    drawn = draw_of_each_class(clips(a=50, b=2, c=5), 9, seed=0)
    assert labels(drawn)[1] == 2
    assert sorted((labels(drawn)[0], labels(drawn)[2])) == [3, 4]


def test_more_clips_than_there_are_gives_all_once() -> None:
    assert sorted(draw_of_each_class(clips(a=3, b=1), 10, seed=0), key=str) == sorted(clips(a=3, b=1), key=str)


def test_a_draw_depends_on_the_seed_and_not_on_the_order() -> None:
    listed = clips(a=30, b=30)
    for sample in (draw, draw_of_each_class):
        assert sample(listed, 8, seed=1) == sample(listed[::-1], 8, seed=1)
        assert sample(listed, 8, seed=1) != sample(listed, 8, seed=2)


def test_clips_to_measure_are_drawn_as_frequently_as_they_are() -> None:
    """900 to 100: of 500 drawn about 450 and 50, with a standard deviation of 4.7."""
    counts = labels(draw(clips(a=900, b=100), 500, seed=0))
    assert 430 < counts[0] < 470


def test_kinds_come_in_turn() -> None:
    assert list(in_turn(["a1", "a2", "a3", "b1", "c1", "c2"], kind=lambda item: item[0])) == [
        *("a1", "b1", "c1", "a2", "c2", "a3")
    ]
    assert list(in_turn([], kind=str)) == []
