"""Prefetching: items are made in a thread of their own while others are worked on, a few ahead and no more."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

LOOK_SECONDS = 0.2
"""Seconds between two looks of a thread that waits for room whether anybody still wants its items."""


@dataclass(frozen=True)
class _Made(Generic[T]):
    """An item."""

    item: T


@dataclass(frozen=True)
class _Ended:
    """The end of the items, and the error that it came by."""

    error: BaseException | None = None


class Prefetched(Iterator[T], AbstractContextManager["Prefetched[T]"]):
    """The items of a generator, which runs in a thread of its own and is at most `depth` items ahead.

    Used as a context, which ends the generator; its errors are raised where its next item would come.
    """

    def __init__(self, items: Generator[T, None, None], *, depth: int) -> None:
        self._items = items
        self._made: queue.Queue[_Made[T] | _Ended] = queue.Queue(depth)
        self._is_wanted = True
        self._thread = threading.Thread(target=self._make, name="prefetch", daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        if not self._is_wanted:
            raise StopIteration
        match self._made.get():
            case _Made(item):
                return item
            case _Ended(error):
                self._is_wanted = False
                if error is not None:
                    raise error
                raise StopIteration

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_wanted = False
        self._thread.join()

    def _make(self) -> None:
        try:
            with closing(self._items):
                for item in self._items:
                    if not self._put(_Made(item)):
                        return
        except BaseException as error:
            self._put(_Ended(error))
        else:
            self._put(_Ended())

    def _put(self, made: _Made[T] | _Ended) -> bool:
        """Wait for room; false if nobody wants the items any more."""
        while self._is_wanted:
            with suppress(queue.Full):
                self._made.put(made, timeout=LOOK_SECONDS)
                return True
        return False
