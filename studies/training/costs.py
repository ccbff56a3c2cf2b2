"""CPU seconds of trainings, measured in turns in one process, so that all of them see the same machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping

import torch

from studies.trainings import passes
from training.config import TrainConfig
from training.data import StoredSplit, open_split
from training.epoch import train_epoch
from training.learner import Learner
from training.workers.worker import ALONE

logger = logging.getLogger(__name__)

NUM_PARTS = 5
"""Equal parts of a training; the epoch in the middle of each is timed."""


def cpu_seconds(configs: Mapping[str, TrainConfig]) -> dict[str, float]:
    """CPU seconds of each whole training, by name: crafting and learning, on clips that are in memory already.

    All are on one data set. A curriculum's epochs differ in cost, so the seconds of the timed ones are multiplied by
    the passes of the whole training over theirs.
    """
    data = next(iter(configs.values())).data
    split = open_split(data, "train", cache_bytes=2**40)
    split.read(range(len(split)))
    torch.set_num_threads(1)
    next(_seconds(next(iter(configs.values())), split))  # what happens once in a process is no method's cost
    seconds = dict.fromkeys(configs, 0.0)
    rounds = zip(*(_seconds(config, split) for config in configs.values()), strict=True)
    for number, taken in enumerate(rounds, 1):
        seconds = {name: seconds[name] + each for name, each in zip(configs, taken, strict=True)}
        logger.info("timing: %d of %d", number, NUM_PARTS)
    return {name: seconds[name] * whole_over_timed(config, split) for name, config in configs.items()}


def timed_epochs(epochs: int) -> list[int]:
    """The epochs in the middle of each part, from 0; of a training that has fewer, some more than once."""
    return [(2 * part + 1) * epochs // (2 * NUM_PARTS) for part in range(NUM_PARTS)]


def whole_over_timed(config: TrainConfig, split: StoredSplit) -> float:
    """Passes of a whole training over those of its timed epochs."""
    num_segments = split.index.format.num_segments
    whole, timed = (
        passes(config, len(split), num_segments, epochs=epochs)
        for epochs in (range(config.epochs), timed_epochs(config.epochs))
    )
    return whole / timed


def _seconds(config: TrainConfig, split: StoredSplit) -> Iterator[float]:
    """Train the timed epochs one after the other; yields the CPU seconds of each."""
    learner = Learner.of(config, split)
    for epoch in timed_epochs(config.epochs):
        started = time.process_time()
        train_epoch(config, split, learner, ALONE, epoch=epoch)
        yield time.process_time() - started
