"""The start of training: a Ray Train run around `loop.train_worker`, resumable, with the best epoch as its result."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ray.train import UserCallback

from preprocessing.cluster.shared_places import SharedPlace, landmarks, require_shared
from preprocessing.errors import DataError, Mistakes, PlaceError
from preprocessing.schema import INDEX_NAME, DatasetIndex
from preprocessing.storage.output_lock import held
from preprocessing.storage.places import require_writable
from preprocessing.storage.records import load_index
from training.checkpoint import MODEL_NAME, load_info, load_initial
from training.config import TrainConfig
from training.data import refuse_few
from training.fitting import fit, worker_resources
from training.models.weights import IMAGENET, NONE
from training.run_folder import Metrics, RunFolder, TrainingOutcome, best_epoch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """The result of a training: its best checkpoint and its history."""

    checkpoint: Path
    """The best epoch by validation accuracy."""
    best: Metrics
    """Its metrics."""
    history: list[Metrics]
    """Metrics of every epoch."""
    resumed_from: int
    """Epochs that were already finished when the last attempt began; 0 for an undisturbed run."""
    resumed_step: int
    """Steps of the next epoch that were done as well."""
    stopped: str
    """The reason why training ended before its last epoch, by its own rules; empty if it did not."""
    seconds: float
    """Wall time of this call."""


def train(config: TrainConfig, *, callbacks: Sequence[UserCallback] = ()) -> TrainResult:
    """Train on the connected Ray and return the best epoch's checkpoint, `<output>/checkpoint`.

    Running it again with the same settings goes on after the last stored epoch or step, also with another number of
    workers; a finished training is not started again. Lost workers are replaced up to `config.max_failures` times.
    `callbacks` hear every report, in Ray's controller process.

    Raises:
        UserError: before anything is written, if data, Ray or `output` do not suit the settings.
        TrainingStoppedError: if the gradient was not finite, or a shard is damaged.
        TrainingError: if training was lost to anything else.
    """
    started = time.monotonic()
    config = with_absolute_paths(config)
    settings = check(config)
    with held(config.output, command="train"):
        return _train(config, settings, callbacks, started=started)


def _train(
    config: TrainConfig, settings: dict[str, object], callbacks: Sequence[UserCallback], *, started: float
) -> TrainResult:
    folder = RunFolder(Path(config.output))
    if earlier := folder.lengths_before(settings):
        logger.info("%s", about_more_epochs(config, earlier[-1]))
    folder.claim(settings)
    logger.info("%s", found_in(folder, config))
    outcome = folder.outcome()
    if outcome is None:
        with landmarks(*shared_places(config)) as known:
            state = fit(config, worker_resources(config), callbacks, known)
        outcome = TrainingOutcome(state.history, state.stopped)
        resumed_from, resumed_step = state.resumed_from, state.resumed_step
    else:
        resumed_from, resumed_step = len(outcome.history), 0
    best = folder.keep_best_and_last(outcome.history, score=config.validation.score)
    folder.finish(outcome)
    return TrainResult(
        checkpoint=folder.checkpoint,
        best=best,
        history=outcome.history,
        resumed_from=resumed_from,
        resumed_step=resumed_step,
        stopped=outcome.stopped,
        seconds=time.monotonic() - started,
    )


def about_more_epochs(config: TrainConfig, before: int) -> str:
    """The meaning of more epochs in one line."""
    return (
        f"going on from {before} to {config.epochs} epochs: what follows a schedule, such as the learning rate, stands "
        f"from epoch {before + 1} on where a training of {config.epochs} epochs has it (that rate begins again at "
        f"{config.optimizer.rate_at(before / config.epochs):.2g}); the first {before} epochs stay as they were, so "
        f"this is not the training that epochs={config.epochs} would have been from the start"
    )


def found_in(folder: RunFolder, config: TrainConfig) -> str:
    """The state of the training in `folder` in one line, before anything is done."""
    history, (epochs, step) = folder.history(), folder.newest()
    if folder.outcome() is not None:
        return f"'{folder.path}' holds this training, finished after {len(history)} epochs"
    if not folder.is_begun:
        return f"a new training of {config.epochs} epochs, in '{folder.path}'"
    begun = f" and {step} steps of the next" if step else ""
    best = f" ({best_in_words(history, config)})" if history else ""
    return f"'{folder.path}' holds {epochs} of {config.epochs} epochs{begun}, going on from there{best}"


def best_in_words(history: Sequence[Metrics], config: TrainConfig) -> str:
    """The best epoch so far and its accuracies."""
    best = best_epoch(history, score=config.validation.score)
    metrics = history[best - 1]
    return (
        f"best epoch {best}: validation clean {metrics['validation/clean_accuracy']:.1%}, "
        f"robust {metrics['validation/robust_accuracy']:.1%}"
    )


def check(config: TrainConfig) -> dict[str, object]:
    """Refuse what cannot be trained before anything is written; returns the settings that decide the result.

    Raises:
        UserError: if data, Ray or `output` do not suit the settings.
    """
    config = with_absolute_paths(config)
    folder = RunFolder(Path(config.output))
    settings = check_without_ray(config)
    if folder.outcome() is None or folder.lengths_before(settings):
        worker_resources(config)
        require_shared(*shared_places(config))
    return settings


def check_without_ray(config: TrainConfig) -> dict[str, object]:
    """The part of `check` that needs no Ray, and so can be done before one is started; all mistakes are told at once.

    Raises:
        UserError: if data, initial weights or `output` do not suit the settings.
    """
    config = with_absolute_paths(config)
    folder, settings, mistakes = RunFolder(Path(config.output)), config.fingerprint(), Mistakes()
    with mistakes.noted():
        require_writable(config.output)
    with mistakes.noted():
        index = check_data(config, is_begun=folder.is_begun)
        settings["dataset_sha256"] = index.content_sha256
        folder.refuse_another(settings)
    with mistakes.noted():
        if config.model.weights != NONE and not folder.is_begun:
            load_info(config.model.weights)
    mistakes.refuse()
    return settings


def shared_places(config: TrainConfig) -> tuple[SharedPlace, ...]:
    """The folders that every node must see: what is written, what is read, and weights to begin with."""
    model = config.model
    files = {"video_weights": model.video_weights, "audio_weights": model.audio_weights}
    if model.weights != NONE:
        files["weights"] = str(Path(model.weights) / MODEL_NAME)
    weights = [
        SharedPlace(f"the folder of model.{setting}", str(Path(file).parent), Path(file).name)
        for setting, file in files.items()
        if file not in (NONE, IMAGENET) and not RunFolder(Path(config.output)).is_begun
    ]
    return (
        SharedPlace("output", config.output, is_written=True),
        SharedPlace("data", config.data, INDEX_NAME),
        *weights,
    )


def with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """The same places for workers, who run in folders of their own.

    Raises:
        ValueError: if `output` is a URL.
    """
    if "://" in config.output:
        raise PlaceError(f"output='{config.output}' is a URL; it must be a folder, one that all nodes see")
    data = config.data if "://" in config.data else str(Path(config.data).absolute())
    return config.model_copy(update={"data": data, "output": str(Path(config.output).absolute())})


def check_data(config: TrainConfig, *, is_begun: bool) -> DatasetIndex:
    """Refuse a data set, or weights to begin with, that cannot be trained on, before any worker starts."""
    index, mistakes = load_index(config.data), Mistakes()
    with mistakes.noted():
        if not index.num_clips.get("validation"):
            raise DataError(f"data='{config.data}' has no validation clips")
    with mistakes.noted():
        refuse_few(index.num_clips.get("train", 0), batch_size=config.batch_size)
    with mistakes.noted():
        model = config.model.build(index.format, len(index.classes))
        if not is_begun:
            load_initial(config.model, model, index.classes)
    mistakes.refuse()
    return index
