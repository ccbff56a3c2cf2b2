"""Whole epochs read at once, for tests."""

from __future__ import annotations

from pathlib import Path

from training.batch import Batch
from training.data import open_split, train_batches


def keys_of(batches: list[Batch]) -> list[tuple[str, ...]]:
    return [batch.keys for batch in batches]


def read_epoch(root: Path, *, epoch: int = 0, world_size: int = 1, seed: int = 0) -> list[list[Batch]]:
    """The batches of every rank."""
    stored = open_split(str(root), "train")
    return [
        list(train_batches(stored, epoch=epoch, seed=seed, batch_size=8, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
