"""One of the processes that train together."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

import torch
from torch import distributed

from preprocessing.reporting.progress import announced
from preprocessing.storage.provenance import device_name

logger = logging.getLogger(__name__)

T = TypeVar("T")


def is_alone() -> bool:
    """True if this process trains by itself: there is no process group, or no other worker in it."""
    return not distributed.is_initialized() or distributed.get_world_size() == 1


@dataclass(frozen=True)
class Worker:
    """One of the processes that train together."""

    rank: int
    world_size: int
    device: torch.device

    def loss_factor(self, num_clips: int, *, of: int) -> float:
        """Factor of a mean loss over this worker's clips, `num_clips` of a batch of `of`; 1 in equal portions.

        With it the mean of the workers' gradients is that of the mean loss over the whole batch.
        """
        return self.world_size * num_clips / of

    def say(self, text: str) -> None:
        """Log a line, if this is the first worker: the others have nothing else to say."""
        if self.rank == 0:
            logger.info("%s", text)

    def announced(self, items: Iterable[T], *, total: int, what: str, done: int = 0) -> Iterator[T]:
        """Pass this worker's items on, and `say` every few seconds how far they are; see `reporting.progress`."""
        return announced(items, total=total, log=self.say, what=what, done=done)

    def all_gather(self, value: T) -> list[T]:
        """The values of all workers, in order of rank; every worker must call this."""
        if self.world_size == 1:
            return [value]
        everything = [value] * self.world_size
        distributed.all_gather_object(everything, value)
        return everything


def in_words(worker: Worker) -> str:
    """The places of all workers, `ranks 0-1 on node-a (NVIDIA L4), rank 2 on node-b (CPU)`; every worker calls it.

    Ray gives neighbouring ranks to one node.
    """
    places = worker.all_gather(f"{socket.gethostname()} ({device_name(str(worker.device))})")
    parts, first = [], 0
    for place, ranks in groupby(places):
        count = len(list(ranks))
        numbers = f"rank {first}" if count == 1 else f"ranks {first}-{first + count - 1}"
        parts.append(f"{numbers} on {place}")
        first += count
    return ", ".join(parts)


ALONE = Worker(rank=0, world_size=1, device=torch.device("cpu"))
"""A process that trains by itself, without Ray."""
