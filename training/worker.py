"""One of the processes that train together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed

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


ALONE = Worker(rank=0, world_size=1, device=torch.device("cpu"))
"""A process that trains by itself, without Ray."""
