"""What one training worker does, from building the model to reporting the last epoch."""

from __future__ import annotations

import hashlib
import logging
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
import torch
from jaxtyping import Bool
from torch import Tensor, nn

from training.batch import Batch
from training.checkpoint import CheckpointInfo, load_state, load_weights, save
from training.config import TrainConfig
from training.data import StoredSplit, evaluation_batches, open_split, train_batches, training_plan
from training.metrics import Means
from training.models import Classifier

logger = logging.getLogger(__name__)

Metrics = dict[str, float]
MIB = 2**20


class NonFiniteGradientError(ArithmeticError):
    """The weights' gradient is infinite or not a number; every worker sees it at the same step."""


@dataclass
class Progress:
    """How far training is; stored beside the weights so that it can go on."""

    history: list[Metrics] = field(default_factory=list)
    """Metrics of every finished epoch."""
    resumed_from: int = 0
    """Epochs that an earlier attempt had finished."""
    stopped: str = ""
    """Why training stopped early; empty if it did not."""

    @property
    def epochs(self) -> int:
        """Epochs that are finished."""
        return len(self.history)


@dataclass(frozen=True)
class Worker:
    """One of the processes that train together."""

    rank: int
    world_size: int
    device: torch.device


def train_worker(config: TrainConfig) -> Progress:
    """Train as one of the workers of a Ray Train run: build, resume, then train, validate and report epoch by epoch.

    All workers take the same number of steps, and all stop at the same step if the gradient is not finite.
    """
    context = ray.train.get_context()
    worker = Worker(context.get_world_rank(), context.get_world_size(), ray.train.torch.get_device())
    torch.set_num_threads(config.cpus_per_worker)
    train_split, validation_split = open_splits(config, worker)
    torch.manual_seed(config.seed)
    model = config.model.build(train_split.index.format, len(train_split.index.classes))
    wrapped = ray.train.torch.prepare_model(model)
    optimizer = build_optimizer(config, model)
    progress = resume(model, optimizer)
    while progress.epochs < config.epochs:
        started = time.monotonic()
        try:
            trained = train_epoch(config, train_split, wrapped, optimizer, worker, epoch=progress.epochs)
        except NonFiniteGradientError as error:
            progress.stopped = str(error)
            break
        trained_seconds = time.monotonic() - started
        judged = validate(config, validation_split, model, worker)
        metrics = {
            "epoch": float(progress.epochs + 1),
            **trained,
            **judged,
            "time/clips_per_second": len(train_split) // config.batch_size * config.batch_size / trained_seconds,
            "time/epoch_seconds": time.monotonic() - started,
        }
        progress.history.append(metrics)
        report(config, train_split, model, optimizer, progress, worker)
    return progress


def open_splits(config: TrainConfig, worker: Worker) -> tuple[StoredSplit, StoredSplit]:
    """The training and the validation split; the workers share the work of verifying their shards."""
    cache_bytes = config.cache_mib * MIB
    splits = (
        open_split(config.data, "train", cache_bytes=cache_bytes),
        open_split(config.data, "validation", cache_bytes=cache_bytes),
    )
    for split in splits:
        split.verify(list(split.shards)[worker.rank :: worker.world_size])
    return splits


def build_optimizer(config: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer; its learning rate is set before every step."""
    rate, decay = config.optimizer.learning_rate, config.optimizer.weight_decay
    match config.optimizer.name:
        case "adamw":
            return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
        case "sgd":
            return torch.optim.SGD(model.parameters(), lr=rate, weight_decay=decay, momentum=0.9, nesterov=True)


def resume(model: Classifier, optimizer: torch.optim.Optimizer) -> Progress:
    """Continue from the run's last checkpoint, if there is one."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return Progress()
    with checkpoint.as_directory() as folder:
        load_weights(folder, model)
        state = load_state(folder)
    optimizer.load_state_dict(state["optimizer"])
    return Progress(history=state["history"], resumed_from=len(state["history"]))


def train_epoch(
    config: TrainConfig,
    split: StoredSplit,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    worker: Worker,
    *,
    epoch: int,
) -> Metrics:
    """One pass over the training split; returns the means of the loss and its parts over all workers.

    Raises:
        NonFiniteGradientError: before the weights are touched, on all workers at the same step.
    """
    num_steps = len(training_plan(len(split), batch_size=config.batch_size, seed=config.seed, epoch=epoch))
    batches = train_batches(
        split,
        epoch=epoch,
        seed=config.seed,
        batch_size=config.batch_size,
        rank=worker.rank,
        world_size=worker.world_size,
        device=worker.device,
        threads=config.loader_threads,
    )
    generator = torch.Generator().manual_seed(epoch_seed(config.seed, epoch))
    means, parts = Means(), dict[str, Any]()
    model.train()
    for step, batch in enumerate(batches):
        progress = (epoch * num_steps + step) / (config.epochs * num_steps)
        set_learning_rate(optimizer, config.optimizer.rate_at(progress))
        loss = config.objective(model, batch, progress=progress, generator=generator)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss.total)
        # After the workers' gradients were averaged, so all of them see the same length and stop together.
        length = nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip or math.inf)
        if not bool(length.isfinite()):
            raise NonFiniteGradientError(
                f"epoch {epoch + 1}, step {step + 1} of {num_steps}: the gradient has length {float(length)}, "
                f"the loss is {float(loss.total.detach())}; lower optimizer.learning_rate or set gradient_clip"
            )
        optimizer.step()
        parts = {"loss": loss.total, **loss.parts, "gradient_norm": length}
        means.add(parts, weight=len(batch))
    reduced = means.reduce(tuple(parts), worker.device)
    at_end = config.objective.settings_at((epoch + 1) / config.epochs)
    return {f"train/{name}": value for name, value in reduced.items()} | {
        f"curriculum/{name}": value for name, value in at_end.items()
    }


def validate(config: TrainConfig, split: StoredSplit, model: Classifier, worker: Worker) -> Metrics:
    """Clean and worst-case robust accuracy on the validation split, each clip judged once by one of the workers."""
    settings = config.validation
    batches = evaluation_batches(
        config.data,
        "validation",
        batch_size=max(1, config.batch_size // 2),
        rank=worker.rank,
        world_size=worker.world_size,
        limit=settings.limit,
        stored=split,
        device=worker.device,
        threads=config.loader_threads,
    )
    generator = torch.Generator().manual_seed(config.seed)
    means = Means()
    model.eval()
    for batch in batches:
        is_clean_right = is_right(model, batch)
        is_robust = is_clean_right
        for attack in settings.attacks:
            is_robust = is_robust & is_right(model, attack(model, batch, settings.threat, generator))
        accuracies = {"clean_accuracy": is_clean_right, "robust_accuracy": is_robust}
        means.add({name: right.double().mean() for name, right in accuracies.items()}, weight=len(batch))
    reduced = means.reduce(("clean_accuracy", "robust_accuracy"), worker.device)
    return {f"validation/{name}": value for name, value in reduced.items()}


@torch.no_grad()
def is_right(model: Classifier, batch: Batch) -> Bool[Tensor, " batch"]:
    """Which clips the model classifies correctly."""
    logits: Tensor = model(batch.video, batch.audio).logits
    return logits.argmax(1) == batch.labels


def report(
    config: TrainConfig,
    split: StoredSplit,
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    worker: Worker,
) -> None:
    """Hand the epoch's metrics and, from the first worker, its checkpoint to Ray; tell how far training is."""
    metrics = progress.history[-1]
    name = f"epoch_{progress.epochs:06d}"  # the same name again after a lost commit, so nothing is orphaned
    if worker.rank > 0:
        ray.train.report(metrics, checkpoint_dir_name=name)
        return
    logger.info("%s", progress_line(metrics, num_epochs=config.epochs, history=progress.history))
    info = CheckpointInfo(
        model=config.model,
        clip_format=split.index.format,
        classes=split.index.classes,
        dataset_sha256=split.index.content_sha256,
        epoch=progress.epochs,
        metrics=metrics,
    )
    state = {"optimizer": optimizer.state_dict(), "history": progress.history}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        save(path, model=model, info=info, config=config.model_dump(mode="json"), state=state)
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(path), checkpoint_dir_name=name)


def progress_line(metrics: Mapping[str, float], *, num_epochs: int, history: list[Metrics]) -> str:
    """What is said of an epoch: loss, clean and robust accuracy on validation, clips per second, time left."""
    epoch = round(metrics["epoch"])
    mean_seconds = sum(each["time/epoch_seconds"] for each in history) / len(history)
    return (
        f"epoch {epoch}/{num_epochs}: loss {metrics['train/loss']:.3f}, "
        f"validation clean {metrics['validation/clean_accuracy']:.1%}, "
        f"robust {metrics['validation/robust_accuracy']:.1%}, "
        f"{metrics['time/clips_per_second']:.1f} clips/s, {(num_epochs - epoch) * mean_seconds:.0f} s left"
    )


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of an epoch's attack randomness; a clip occurs once an epoch, so its key tells the rest."""
    return int.from_bytes(hashlib.sha256(f"attacks {seed}/{epoch}".encode()).digest()[:8], "little") >> 1


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set it for all weights."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
