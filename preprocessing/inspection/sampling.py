"""Random samples of stored clips: the same for the same seed, whatever order the clips lie in."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from preprocessing.inspection.stored import StoredClip
from preprocessing.seeds import shuffling_key

Item = TypeVar("Item")


def draw(clips: Iterable[StoredClip], count: int, *, seed: int) -> list[StoredClip]:
    """`count` clips at random: each is as likely as any other."""
    return sorted(clips, key=lambda clip: shuffling_key(seed, clip.sample.key))[:count]


def draw_of_each_class(clips: Iterable[StoredClip], count: int, *, seed: int) -> list[StoredClip]:
    """`count` clips at random, of all classes in turn: no class has two more than another that has clips left."""
    shuffled = sorted(clips, key=lambda clip: shuffling_key(seed, clip.sample.key))
    return list(islice(in_turn(shuffled, kind=lambda clip: clip.sample.label), count))


def in_turn(items: Sequence[Item], *, kind: Callable[[Item], Hashable]) -> Iterator[Item]:
    """The first of each kind, then the second of each, and so on; kinds in the order in which they appear."""
    queues: dict[Hashable, list[Item]] = {}
    for item in items:
        queues.setdefault(kind(item), []).append(item)
    for turn in range(max(map(len, queues.values()), default=0)):
        for queue in queues.values():
            yield from queue[turn : turn + 1]
