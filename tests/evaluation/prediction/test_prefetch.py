from __future__ import annotations

import threading
import time
from collections.abc import Generator

import pytest

from evaluation.prediction.prefetch import Prefetched


def counting(stop: int, seen: list[int]) -> Generator[int, None, None]:
    """Numbers up to `stop`, each noted when it is made; a -1 when the generator is closed."""
    try:
        for number in range(stop):
            seen.append(number)
            yield number
    finally:
        seen.append(-1)


def until(is_so: object) -> None:
    assert callable(is_so)
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_items_come_in_order() -> None:
    with Prefetched(counting(50, []), depth=3) as ahead:
        assert list(ahead) == list(range(50))
        assert list(ahead) == []


def test_it_is_so_far_ahead_and_no_further() -> None:
    """Three lie ready and one is in the hand; without anybody who takes them it stays so."""
    seen: list[int] = []
    with Prefetched(counting(50, seen), depth=3) as ahead:
        until(lambda: len(seen) == 4)
        time.sleep(0.5)
        assert seen == [0, 1, 2, 3]
        assert next(ahead) == 0
        until(lambda: len(seen) == 5)


def test_nobody_who_wants_more_ends_the_generator_and_its_thread() -> None:
    seen: list[int] = []
    num_threads = threading.active_count()
    with Prefetched(counting(50, seen), depth=1) as ahead:
        assert next(ahead) == 0
    assert seen[-1] == -1
    assert len(seen) < 6
    assert threading.active_count() == num_threads
    assert list(ahead) == []


def test_an_error_comes_where_its_item_would_have() -> None:
    def failing() -> Generator[int, None, None]:
        yield 1
        raise ValueError("no more")

    with Prefetched(failing(), depth=5) as ahead:
        assert next(ahead) == 1
        with pytest.raises(ValueError, match="no more"):
            next(ahead)
        assert list(ahead) == []
