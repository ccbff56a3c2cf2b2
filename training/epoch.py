"""One pass over the training split."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from preprocessing.seeds import seed_of
from training.batch import Batch
from training.config import Precision, TrainConfig
from training.data import StoredSplit, train_batches
from training.learner import Learner
from training.metrics import Means, TimedIterator
from training.objectives.base import Loss
from training.resuming import PartialEpoch
from training.run_folder import Metrics
from training.workers.estimate import estimated
from training.workers.worker import Worker


@dataclass(frozen=True)
class Step:
    """The place of a batch in a training."""

    epoch: int
    """Counted from 0."""
    number: int
    """Number of the step in its epoch, counted from 0."""
    num_steps: int
    """Steps of an epoch."""

    def progress(self, num_epochs: int, *, share_of_step: float = 0.0) -> float:
        """Fraction of a training of so many epochs that is done after this share of the step, in [0, 1]."""
        return (self.epoch * self.num_steps + self.number + share_of_step) / (num_epochs * self.num_steps)

    def __str__(self) -> str:
        return f"epoch {self.epoch + 1}, step {self.number + 1} of {self.num_steps}"


def train_epoch(
    config: TrainConfig,
    split: StoredSplit,
    learner: Learner,
    worker: Worker,
    *,
    epoch: int,
    partial_epoch: PartialEpoch | None = None,
    keep_step: Callable[[PartialEpoch], None] | None = None,
) -> Metrics:
    """One pass over the training split; returns the means of the loss and its parts over all workers.

    Beside them are the learning rate and what the curriculum has set, both as they are at its end.
    With `partial_epoch` it is the rest of one. `keep_step` is given its middle every `config.checkpoint_every` steps.

    Raises:
        NonFiniteGradientError: before the weights are touched, on all workers at the same step.
    """
    partial_epoch = partial_epoch or PartialEpoch()
    num_steps = len(split) // config.batch_size
    batches = TimedIterator(
        train_batches(
            split,
            epoch=epoch,
            seed=config.seed,
            batch_size=config.batch_size,
            rank=worker.rank,
            world_size=worker.world_size,
            first=partial_epoch.step,
            device=worker.device,
            threads=config.loader_threads,
        ),
        seconds=partial_epoch.data_seconds,
    )
    means, started = Means.going_on(partial_epoch.sums), time.monotonic() - partial_epoch.seconds
    learner.model.train()
    what = f"epoch {epoch + 1}/{config.epochs}: step"
    steps = worker.announced(batches, total=num_steps, what=what, done=partial_epoch.step)
    if epoch == 0:  # later, the epochs before it tell more
        steps = estimated(steps, num_steps=num_steps, done=partial_epoch.step, num_epochs=config.epochs, say=worker.say)
    for number, batch in enumerate(steps, partial_epoch.step):
        for measured in learn(config, learner, batch, worker, step=Step(epoch, number, num_steps)):
            means.add(measured, weight=len(batch))
        if keep_step and is_stored_after(number + 1, num_steps, every=config.checkpoint_every):
            keep_step(PartialEpoch(number + 1, means.sums, time.monotonic() - started, batches.seconds))
    seconds = time.monotonic() - started
    done = (epoch + 1) / config.epochs
    return {
        **{f"train/{name}": value for name, value in means.reduce(worker.device).items()},
        **{f"curriculum/{name}": value for name, value in config.objective.settings_at(done).items()},
        "train/learning_rate": config.optimizer.rate_at(done),
        "time/clips_per_second": num_steps * config.batch_size / seconds,
        "time/data_seconds": batches.seconds,
    }


def learn(
    config: TrainConfig, learner: Learner, batch: Batch, worker: Worker, *, step: Step
) -> Iterator[dict[str, Tensor]]:
    """Make every update that the objective asks for on a batch; yields the loss, its parts and the gradient's norms."""
    objective = config.objective
    generator = torch.Generator().manual_seed(seed_of(config.seed, "attacks", step.epoch))
    losses = objective.losses(learner.model, batch, progress=step.progress(config.epochs), generator=generator)
    for update, loss in enumerate(computed_in(config.precision, losses, worker.device)):
        done = step.progress(config.epochs, share_of_step=update / objective.updates)
        norms = learner.update(
            loss.total,
            factor=worker.loss_factor(len(batch), of=config.batch_size),
            learning_rate=config.optimizer.rate_at(done),
            gradient_clip=config.gradient_clip,
            where=str(step),
        )
        yield {"loss": loss.total, **loss.parts, **norms}


def computed_in(precision: Precision, losses: Iterator[Loss], device: torch.device) -> Iterator[Loss]:
    """The losses, crafting and forward passes in `precision`; the caller's backward passes follow them."""
    while True:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = next(losses, None)
        if loss is None:
            return
        yield loss


def is_stored_after(steps: int, num_steps: int, *, every: int | None) -> bool:
    """True if the middle of an epoch is stored after so many of its steps; its end is stored anyway."""
    return every is not None and steps % every == 0 and steps < num_steps
