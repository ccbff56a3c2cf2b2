"""CPU seconds of trainings, measured in turns in one process, so that all of them see the same machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from studies.training.trainings import passes
from training.config import TrainConfig
from training.data import StoredSplit, open_split
from training.epoch import train_epoch
from training.learner import Learner
from training.passes import Passes
from training.validation import validate
from training.workers.worker import ALONE

logger = logging.getLogger(__name__)

NUM_PARTS = 5
"""Equal parts of a training; the epoch in the middle of each is timed."""


@dataclass(frozen=True)
class Cost:
    """The cost of a whole training."""

    training: float = 0.0
    """Crafting and learning."""
    validation: float = 0.0
    """Attacking validation clips after every epoch, as the training's settings say."""

    @property
    def total(self) -> float:
        """Both."""
        return self.training + self.validation

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.training + other.training, self.validation + other.validation)


def cpu_seconds(configs: Mapping[str, TrainConfig]) -> dict[str, Cost]:
    """CPU seconds of each whole training, by name, on clips that are in memory already.

    All are on one data set. A curriculum's epochs differ in cost, so the seconds of the timed ones are multiplied by
    the passes of the whole training over theirs.
    """
    data = next(iter(configs.values())).data
    splits = open_split(data, "train", cache_bytes=2**40), open_split(data, "validation", cache_bytes=2**40)
    for split in splits:
        split.read(range(len(split)))
    torch.set_num_threads(1)
    next(_seconds(next(iter(configs.values())), *splits))  # what happens once in a process is no method's cost
    seconds = dict.fromkeys(configs, Cost())
    rounds = zip(*(_seconds(config, *splits) for config in configs.values()), strict=True)
    for number, taken in enumerate(rounds, 1):
        seconds = {name: seconds[name] + each for name, each in zip(configs, taken, strict=True)}
        logger.info("timing: %d of %d", number, NUM_PARTS)
    return {
        name: Cost(
            seconds[name].training * whole_over_timed(config, splits[0]),
            seconds[name].validation * config.epochs / NUM_PARTS,
        )
        for name, config in configs.items()
    }


def validation_passes(config: TrainConfig, *, num_train: int, num_validation: int) -> float:
    """The mean of forward and backward passes that validation takes in a whole training, per training clip.

    Every validation clip is seen as it is, attacked by each attack, and seen again after each.
    """
    settings = config.validation
    cost = Passes(1, 0)
    for attack in settings.attacks:
        cost += attack.cost + Passes(1, 0)
    num_clips = min(num_validation, settings.limit or num_validation)
    return config.epochs * num_clips / num_train * (cost.forward + cost.backward) / 2


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


def _seconds(config: TrainConfig, train_split: StoredSplit, validation_split: StoredSplit) -> Iterator[Cost]:
    """Train the timed epochs one after the other; yields the CPU seconds of each and of its validation."""
    learner = Learner.of(config, train_split)
    for epoch in timed_epochs(config.epochs):
        started = time.process_time()
        train_epoch(config, train_split, learner, ALONE, epoch=epoch)
        trained = time.process_time()
        validate(config, validation_split, learner.exported_model, ALONE)
        yield Cost(trained - started, time.process_time() - trained)
