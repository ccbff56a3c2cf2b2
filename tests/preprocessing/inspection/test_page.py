from __future__ import annotations

from collections.abc import Callable

import pytest

from preprocessing.inspection.cards import Card
from preprocessing.inspection.measuring import Measures
from preprocessing.inspection.page import PLAYER_BYTES, Cards, percent, size


@pytest.fixture
def cards(clip: Callable[..., Measures]) -> Cards:
    """One suspicious clip and three others, with 100, 600, 100 and 100 bytes of sound."""
    one, *rest = (
        Card(clip(key=str(number)), "singing", (), (), num_segments=4, sound="x" * length)
        for number, length in enumerate((100, 600, 100, 100))
    )
    return Cards((one,), tuple(rest))


@pytest.mark.parametrize(("count", "shown"), [(0, (0, 0)), (1, (1, 0)), (3, (1, 2)), (9, (1, 3))])
def test_of_few_clips_the_suspicious_ones_come_first(cards: Cards, count: int, shown: tuple[int, int]) -> None:
    found = cards.first(count)
    assert (len(found.suspicious), len(found.sheet)) == shown


def test_a_sound_that_does_not_fit_leaves_its_room_to_the_next(cards: Cards) -> None:
    """Room for three players and 300 bytes: the sound of 600 does not fit, the three of 100 do."""
    found = cards.with_sounds(3 * (PLAYER_BYTES + 100))
    assert [card.has_sound for card in (*found.suspicious, *found.sheet)] == [True, False, True, True]
    assert found.num_silent == 1
    assert cards.with_sounds(0).num_silent == len(cards) == 4


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.9999, "> 99.9 %"), (0.994, "99.4 %"), (0.0001, "< 0.1 %"), (0.0, "0.0 %")],
)
def test_all_and_nothing_are_only_said_where_it_is_so(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(("num_bytes", "text"), [(999, "1.0 kB"), (138_100_000, "138.1 MB"), (2_500_000_000, "2.5 GB")])
def test_sizes_have_the_unit_that_suits_them(num_bytes: int, text: str) -> None:
    assert size(num_bytes) == text
