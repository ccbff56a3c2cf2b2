"""One of the processes that train together."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

import torch
from torch import distributed

from preprocessing.storage.provenance import device_name

T = TypeVar("T")


@dataclass(frozen=True)
class Worker:
    """One of the processes that train together."""

    rank: int
    world_size: int
    device: torch.device

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
