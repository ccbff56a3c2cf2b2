"""What one training worker does, from building the model to reporting the last epoch."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import ray.train
import ray.train.torch
import torch
from jaxtyping import Bool
from torch import Tensor, nn

from training.batch import MODALITIES, Batch
from training.config import Precision, TrainConfig
from training.data import StoredSplit, evaluation_batches, open_split, train_batches
from training.members import ShardError
from training.metrics import Means, ModalityGap, Waiting, average_batch_statistics
from training.models import Classifier
from training.models.classifier import predicted_classes
from training.objectives.base import Loss, bare
from training.optimization import WeightAverage, set_learning_rate
from training.resuming import BegunEpoch, Progress, Store
from training.run_folder import Metrics, RunFolder
from training.worker import Worker

logger = logging.getLogger(__name__)

MIB = 2**20
VALIDATION_BATCHES = 12
"""At least so many, so that 2, 3, 4, 6 or 12 workers have equal shares; smaller batches would cost more per clip."""


class NonFiniteGradientError(ArithmeticError):
    """The weights' gradient is infinite or not a number; every worker sees it at the same step."""


def train_worker(config: TrainConfig) -> Progress:
    """Train as one of the workers of a Ray Train run, and tell how far it came."""
    context = ray.train.get_context()
    worker = Worker(context.get_world_rank(), context.get_world_size(), ray.train.torch.get_device())
    torch.set_num_threads(config.cpus_per_worker)
    if worker.device.type == "cuda":
        torch.cuda.set_device(worker.device)
    try:
        return train_epochs(config, worker)
    except ShardError as error:
        # Handed back, not raised: Ray would try again, and it would end the same.
        return Progress(failed=str(error))
    except NonFiniteGradientError as error:
        return Progress(failed=f"{error}; {where_the_last_state_lies(RunFolder(Path(config.output)))}")


def where_the_last_state_lies(folder: RunFolder) -> str:
    """Where the newest weights before the step that went wrong are found, in words."""
    if not folder.is_begun:
        return "no checkpoint was stored before it"
    epochs, step = folder.newest()
    return f"the last checkpoint before it, after {epochs} epochs and {step} steps, is '{folder.state(epochs, step)}'"


def train_epochs(config: TrainConfig, worker: Worker) -> Progress:
    """Build, resume, then epoch by epoch train, validate, report and keep.

    All workers take the same number of steps, and all stop at the same step if the gradient is not finite.
    """
    train_split, validation_split = open_splits(config, worker)
    torch.manual_seed(config.seed)
    model = config.build_model(train_split.index.format, len(train_split.index.classes))
    if not RunFolder(Path(config.output)).is_begun:
        config.model.load_pretrained(model)
    # Batch statistics are averaged once an epoch instead of being copied from the first worker at every step.
    wrapped = ray.train.torch.prepare_model(model, parallel_strategy_kwargs={"forward_sync_buffers": False})
    optimizer, average = config.optimizer.build(model), config.optimizer.build_average(model)
    store = Store(config, train_split, model, optimizer, worker, average)
    progress = store.resume()
    settings, verdict = config.after(progress.history)
    while progress.epochs < config.epochs and not verdict.stop:
        begun, progress.begun = progress.begun, BegunEpoch()
        started = time.monotonic() - begun.seconds
        metrics: Metrics = {"epoch": float(progress.epochs + 1)}
        if config.overfitting:
            metrics["train/roll_backs"] = float(verdict.roll_backs)
        if verdict.roll_back and not begun.step:
            store.roll_back(progress.history)
        keep_step = partial(store.keep_step, progress.history)
        metrics |= train_epoch(
            settings,
            train_split,
            wrapped,
            optimizer,
            worker,
            epoch=progress.epochs,
            average=average,
            begun=begun,
            keep_step=keep_step,
        )
        average_batch_statistics(model)
        if average:
            average.take_buffers(model)
        metrics |= validate(config, validation_split, store.shown, worker)
        metrics["time/epoch_seconds"] = time.monotonic() - started
        progress.history.append(metrics)
        # Reported before it is kept: what is lost in between is done and reported again, nothing goes unreported.
        ray.train.report(metrics)
        if worker.rank == 0:
            logger.info("%s", progress_line(progress.history, num_epochs=config.epochs))
        store.keep_epoch(progress.history)
        settings, verdict = config.after(progress.history)
    if progress.epochs < config.epochs:
        progress.stopped = verdict.stop
        if worker.rank == 0:
            logger.info("training ends after epoch %d of %d: %s", progress.epochs, config.epochs, verdict.stop)
    return progress


def open_splits(config: TrainConfig, worker: Worker) -> tuple[StoredSplit, StoredSplit]:
    """The training and the validation split; the workers share the work of verifying their shards.

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
            split.verify(list(split.shards)[worker.rank :: worker.world_size])
    except ShardError as error:
        problem = str(error)
    if problems := [text for text in worker.hear_all(problem) if text]:
        raise ShardError(problems[0])
    return train_split, validation_split


def train_epoch(
    config: TrainConfig,
    split: StoredSplit,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    worker: Worker,
    *,
    epoch: int,
    average: WeightAverage | None = None,
    begun: BegunEpoch | None = None,
    keep_step: Callable[[BegunEpoch], None] | None = None,
) -> Metrics:
    """One pass over the training split; returns the means of the loss and its parts over all workers.

    Beside them it returns the learning rate and what the curriculum has set, both as they are at its end.
    `average` follows the weights. With `begun` it is the rest of one. `keep_step` is given the middle of it every
    `config.checkpoint_every` steps.

    Raises:
        NonFiniteGradientError: before the weights are touched, on all workers at the same step.
    """
    begun = begun or BegunEpoch()
    num_steps = len(split) // config.batch_size
    batches = Waiting(
        train_batches(
            split,
            epoch=epoch,
            seed=config.seed,
            batch_size=config.batch_size,
            rank=worker.rank,
            world_size=worker.world_size,
            first=begun.step,
            device=worker.device,
            threads=config.loader_threads,
        ),
        seconds=begun.data_seconds,
    )
    generator = torch.Generator().manual_seed(seed_of(config.seed, "attacks", epoch))
    means, started = Means.going_on(begun.sums), time.monotonic() - begun.seconds
    model.train()
    objective, total_steps = config.objective, config.epochs * num_steps
    for step, batch in enumerate(batches, begun.step):
        torch.manual_seed(seed_of(config.seed, "dropout", epoch, step, worker.rank))
        done = epoch * num_steps + step
        losses = objective.losses(model, batch, progress=done / total_steps, generator=generator)
        for update, loss in enumerate(computed_in(config.precision, losses, worker.device)):
            set_learning_rate(optimizer, config.optimizer.rate_at((done + update / objective.updates) / total_steps))
            where = f"epoch {epoch + 1}, step {step + 1} of {num_steps}"
            norms = update_weights(model, optimizer, loss.total, gradient_clip=config.gradient_clip, where=where)
            if average:
                average.follow(cast(Classifier, bare(model)))
            means.add({"loss": loss.total, **loss.parts, **norms}, weight=len(batch))
        if keep_step and is_stored_after(step + 1, num_steps, every=config.checkpoint_every):
            seconds = time.monotonic() - started
            keep_step(BegunEpoch(step + 1, means.sums, seconds, batches.seconds))
    seconds = time.monotonic() - started
    progress = (epoch + 1) / config.epochs
    at_end = config.objective.settings_at(progress)
    return {
        **{f"train/{name}": value for name, value in means.reduce(worker.device).items()},
        **{f"curriculum/{name}": value for name, value in at_end.items()},
        "train/learning_rate": config.optimizer.rate_at(progress),
        "time/clips_per_second": num_steps * config.batch_size / seconds,
        "time/data_seconds": batches.seconds,
    }


def computed_in(precision: Precision, losses: Iterator[Loss], device: torch.device) -> Iterator[Loss]:
    """The losses, crafting and forward passes in `precision`; the caller's backward passes follow them."""
    while True:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = next(losses, None)
        if loss is None:
            return
        yield loss


def is_stored_after(steps: int, num_steps: int, *, every: int | None) -> bool:
    """Whether the middle of an epoch is stored after so many of its steps; its end is stored anyway."""
    return every is not None and steps % every == 0 and steps < num_steps


def update_weights(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, *, gradient_clip: float | None, where: str
) -> dict[str, Tensor]:
    """Go backward from `loss` and step; returns the L2 norms of the gradient before it was clipped.

    `gradient_norm` is that of all weights, `gradient_norm_video` and `gradient_norm_audio` are the encoders': where one
    is far below the other, one modality learns and the other is carried along. `where` tells the step in the error's
    message.

    Raises:
        NonFiniteGradientError: before the weights are touched.
    """
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    # After the workers' gradients were averaged, so all of them see the same length and stop together.
    classifier = bare(model)
    norms = {
        f"gradient_norm_{modality}": _gradient_norm(classifier.get_submodule(f"{modality}_encoder"))
        for modality in MODALITIES
    }
    length = nn.utils.clip_grad_norm_(model.parameters(), gradient_clip or math.inf)
    if not bool(length.isfinite()):
        raise NonFiniteGradientError(
            f"{where}: the gradient has length {float(length)}, the loss is {float(loss.detach())}; lower "
            "optimizer.learning_rate or set gradient_clip"
        )
    optimizer.step()
    return {"gradient_norm": length, **norms}


def _gradient_norm(module: nn.Module) -> Tensor:
    return nn.utils.get_total_norm([weight.grad for weight in module.parameters() if weight.grad is not None])


def validate(config: TrainConfig, split: StoredSplit, model: Classifier, worker: Worker) -> Metrics:
    """Clean and worst-case robust accuracy and modality gap on the validation split, each clip judged by one worker."""
    settings = config.validation
    num_clips = min(len(split), settings.limit or len(split))
    batches = evaluation_batches(
        config.data,
        "validation",
        batch_size=min(config.batch_size, math.ceil(num_clips / VALIDATION_BATCHES)),
        rank=worker.rank,
        world_size=worker.world_size,
        limit=settings.limit,
        stored=split,
        device=worker.device,
        threads=config.loader_threads,
    )
    generator = torch.Generator().manual_seed(config.seed)
    means, gap = Means("clean_accuracy", "robust_accuracy"), ModalityGap(config.model.feature_size)
    model.eval()
    for batch in batches:
        with torch.no_grad():
            outputs = model(batch.video, batch.audio)
        gap.add(outputs)
        is_clean_right = predicted_classes(outputs.logits) == batch.labels
        is_robust = is_clean_right
        for attack in settings.attacks:
            is_robust = is_robust & is_right(model, attack(model, batch, settings.threat, generator))
        accuracies = {"clean_accuracy": is_clean_right, "robust_accuracy": is_robust}
        means.add({name: right.double().mean() for name, right in accuracies.items()}, weight=len(batch))
    found = means.reduce(worker.device) | gap.reduce(worker.device)
    return {f"validation/{name}": value for name, value in found.items()}


@torch.no_grad()
def is_right(model: Classifier, batch: Batch) -> Bool[Tensor, " batch"]:
    """Which clips the model classifies correctly; one whose logits are not finite is wrong."""
    return predicted_classes(model(batch.video, batch.audio).logits) == batch.labels


def progress_line(history: list[Metrics], *, num_epochs: int) -> str:
    """What is said of the last epoch: loss, clean and robust accuracy on validation, clips per second, time left."""
    metrics = history[-1]
    mean_seconds = sum(each["time/epoch_seconds"] for each in history) / len(history)
    return (
        f"epoch {len(history)}/{num_epochs}: loss {metrics['train/loss']:.3f}, "
        f"validation clean {metrics['validation/clean_accuracy']:.1%}, "
        f"robust {metrics['validation/robust_accuracy']:.1%}, "
        f"{metrics['time/clips_per_second']:.1f} clips/s, {(num_epochs - len(history)) * mean_seconds:.0f} s left"
    )


def seed_of(*path: object) -> int:
    """A seed for one purpose, such as the attacks of an epoch (a clip occurs once in it, so its key tells the rest)."""
    text = "/".join(map(str, path)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1
