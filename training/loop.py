"""The loop of one training worker, from building the model to reporting the last epoch."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import ray.train
import ray.train.torch
import torch
from torch import nn

from preprocessing.cluster.shared_places import Landmark, UnsharedPlaceError, recognise
from preprocessing.errors import DataError, SettingsError
from preprocessing.reporting.progress import duration
from training.checkpoint import load_initial
from training.config import TrainConfig
from training.data import MIB, ShardError, StoredSplit, open_split
from training.epoch import train_epoch
from training.learner import Learner, NonFiniteGradientError
from training.models import Classifier
from training.resuming import PartialEpoch, StateStore, TrainingState
from training.run_folder import Metrics, RunFolder
from training.validation import validate
from training.workers.estimate import estimate_by
from training.workers.worker import Worker, in_words


def train_worker(config: TrainConfig, *, known: tuple[Landmark, ...] = ()) -> TrainingState:
    """Train as one of the workers of a Ray Train run; returns the state in which training ended.

    Nothing is read or written before all workers have seen the landmarks of the driver's places.
    """
    context = ray.train.get_context()
    worker = Worker(context.get_world_rank(), context.get_world_size(), ray.train.torch.get_device())
    torch.set_num_threads(config.cpus_per_worker)
    if worker.device.type == "cuda":
        torch.cuda.set_device(worker.device)
    worker.say(f"workers: {in_words(worker)}")
    try:
        require_places(known, worker)
        return train_epochs(config, worker)
    except (SettingsError, DataError, UnsharedPlaceError) as error:
        # Handed back, not raised: Ray would try again, and it would end the same.
        return TrainingState(failed=str(error))
    except NonFiniteGradientError as error:
        return TrainingState(failed=f"{error}; {where_the_last_state_lies(RunFolder(Path(config.output)))}")


def require_places(known: tuple[Landmark, ...], worker: Worker) -> None:
    """Stop all workers if one of them sees other places than the driver.

    Raises:
        UnsharedPlaceError: on all workers, naming a node.
    """
    problem = ""
    try:
        recognise(known)
    except UnsharedPlaceError as error:
        problem = str(error)
    if problems := [text for text in worker.all_gather(problem) if text]:
        raise UnsharedPlaceError(problems[0])


def where_the_last_state_lies(folder: RunFolder) -> str:
    """The place of the newest weights before the step that went wrong, in words."""
    if not folder.is_begun:
        return "no checkpoint was stored before it"
    epochs, step = folder.newest()
    return f"the last checkpoint before it, after {epochs} epochs and {step} steps, is '{folder.state(epochs, step)}'"


def train_epochs(config: TrainConfig, worker: Worker) -> TrainingState:
    """Build, resume, then epoch by epoch train, validate, report and keep.

    All workers take the same number of steps, and all stop at the same step if the gradient is not finite.
    """
    train_split, validation_split = open_splits(config, worker)
    learner = Learner.of(
        config, train_split, partial(prepared, config=config, classes=train_split.index.classes), device=worker.device
    )
    store = StateStore(config, train_split, learner, worker)
    state = store.resume()
    worker.say(outline(config, learner, train_split, validation_split))
    if state.resumed_from or state.resumed_step:
        worker.say(f"going on after {state.resumed_from} epochs and {state.resumed_step} steps of the next")
    if 0 < state.epochs < config.epochs:
        worker.say(estimate_by(state.history, num_epochs=config.epochs))
    settings, decision = config.for_next_epoch(state.history)
    while state.epochs < config.epochs and not decision.stop:
        partial_epoch, state.partial_epoch = state.partial_epoch, PartialEpoch()
        started = time.monotonic() - partial_epoch.seconds
        metrics: Metrics = {"epoch": float(state.epochs + 1)}
        if config.overfitting:
            metrics["train/roll_backs"] = float(decision.roll_backs)
        if decision.roll_back and not partial_epoch.step:
            store.roll_back(state.history)
        keep_step = partial(store.keep_step, state.history)
        metrics |= train_epoch(
            settings,
            train_split,
            learner,
            worker,
            epoch=state.epochs,
            partial_epoch=partial_epoch,
            keep_step=keep_step,
        )
        learner.average_statistics()
        metrics |= validate(config, validation_split, learner.exported_model, worker)
        metrics["time/epoch_seconds"] = time.monotonic() - started
        finish_epoch(metrics, state, store)
        settings, decision = config.for_next_epoch(state.history)
    if state.epochs < config.epochs:
        state.stopped = decision.stop
        worker.say(f"training ends after epoch {state.epochs} of {config.epochs}: {decision.stop}")
    return state


def outline(config: TrainConfig, learner: Learner, train_split: StoredSplit, validation_split: StoredSplit) -> str:
    """The size of the work in one line."""
    weights = sum(weight.numel() for weight in learner.classifier.parameters())
    steps = len(train_split) // config.batch_size
    validated = min(len(validation_split), config.validation.limit or len(validation_split))
    return (
        f"{config.epochs} epochs of {steps} steps of {config.batch_size} clips ({len(train_split)} training clips, "
        f"{validated} for validation), {weights / 1e6:.1f} M parameters"
    )


def prepared(model: Classifier, config: TrainConfig, classes: tuple[str, ...]) -> nn.Module:
    """The classifier on this worker's device in its distributed wrapper; pretrained if its training begins."""
    if not RunFolder(Path(config.output)).is_begun:
        load_initial(config.model, model, classes)
    # Batch statistics are the same in all workers, or each has its own: none are copied from the first one.
    wrapped: nn.Module = ray.train.torch.prepare_model(model, parallel_strategy_kwargs={"forward_sync_buffers": False})
    return wrapped


def finish_epoch(metrics: Metrics, state: TrainingState, store: StateStore) -> None:
    """Add an epoch to the history, report it and store it.

    Reported before it is kept: what is lost in between is done and reported again, nothing goes unreported.
    """
    state.history.append(metrics)
    ray.train.report(metrics)
    store.worker.say(progress_line(state.history, num_epochs=store.config.epochs))
    store.keep_epoch(state.history)


def open_splits(config: TrainConfig, worker: Worker) -> tuple[StoredSplit, StoredSplit]:
    """The training and the validation split; each worker verifies a portion of their shards.

    Raises:
        ShardError: on all workers if one of them finds a damaged shard.
    """
    cache_bytes = config.cache_mib * MIB
    domain = config.audio_domain
    train_split = open_split(config.data, "train", audio_domain=domain, cache_bytes=cache_bytes)
    validation_split = open_split(config.data, "validation", audio_domain=domain, cache_bytes=cache_bytes)
    problem = ""
    try:
        for split in (train_split, validation_split):
            shards = list(split.shards)[worker.rank :: worker.world_size]
            split.verify(worker.announced(shards, total=len(shards), what=f"checking {split.split} shards:"))
    except ShardError as error:
        problem = str(error)
    if problems := [text for text in worker.all_gather(problem) if text]:
        raise ShardError(problems[0])
    return train_split, validation_split


def progress_line(history: list[Metrics], *, num_epochs: int) -> str:
    """The log line of the last epoch: loss, clean and robust accuracy on validation, clips per second, time left."""
    metrics = history[-1]
    mean_seconds = sum(each["time/epoch_seconds"] for each in history) / len(history)
    return (
        f"epoch {len(history)}/{num_epochs}: loss {metrics['train/loss']:.3f}, "
        f"validation clean {metrics['validation/clean_accuracy']:.1%}, "
        f"robust {metrics['validation/robust_accuracy']:.1%}, "
        f"{metrics['time/clips_per_second']:.1f} clips/s, {duration((num_epochs - len(history)) * mean_seconds)} left"
    )
