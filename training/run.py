"""The start of training: a Ray Train run around `loop.train_worker`, resumable, with the best epoch as its result."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import ray
from ray.exceptions import RayActorError
from ray.train import (
    FailureConfig,
    LoggingConfig,
    RunConfig,
    ScalingConfig,
    TrainingFailedError,
    UserCallback,
    WorkerGroupError,
)
from ray.train.torch import TorchConfig, TorchTrainer

from preprocessing.cluster.ray_internals import max_resources
from preprocessing.errors import DataError, PlaceError, ResourceError, SettingsError, users_mistake
from preprocessing.schema import DatasetIndex
from preprocessing.storage.places import require_writable
from preprocessing.storage.records import load_index
from training.config import TrainConfig
from training.data import training_plan
from training.loop import train_worker
from training.resuming import TrainingState
from training.run_folder import Metrics, RunFolder, TrainingOutcome

logger = logging.getLogger(__name__)

COLLECTIVE_TIMEOUT_SECONDS = 600
"""Workers that wait so long for another one give up; without it they would wait for ever."""


class TrainingError(RuntimeError):
    """A training was lost to something that no setting explains; its cause has the workers' own tracebacks."""


class TrainingStoppedError(SettingsError):
    """A training ended itself, at settings or data that would end it again; the message tells what to change."""


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
    folder = RunFolder(Path(config.output))
    folder.claim(check(config))
    outcome = folder.outcome()
    if outcome is None:
        state = fit(config, worker_resources(config), list(callbacks))
        outcome = TrainingOutcome(state.history, state.stopped)
        resumed_from, resumed_step = state.resumed_from, state.resumed_step
    else:
        logger.info("'%s' holds this training, finished", folder.path)
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


def check(config: TrainConfig) -> dict[str, object]:
    """Refuse what cannot be trained before anything is written; returns the settings that decide the result.

    Raises:
        UserError: if data, Ray or `output` do not suit the settings.
    """
    config = with_absolute_paths(config)
    folder = RunFolder(Path(config.output))
    require_writable(config.output)
    index = check_data(config, is_begun=folder.is_begun)
    settings = {**config.fingerprint(), "dataset_sha256": index.content_sha256}
    folder.refuse_another(settings)
    if folder.outcome() is None:
        worker_resources(config)
    return settings


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
    index = load_index(config.data)
    if not index.num_clips.get("validation"):
        raise DataError(f"data='{config.data}' has no validation clips")
    training_plan(index.num_clips.get("train", 0), batch_size=config.batch_size, seed=config.seed, epoch=0)
    model = config.model.build(index.format, len(index.classes))
    if not is_begun:
        config.model.load_pretrained(model)
    return index


def worker_resources(config: TrainConfig) -> dict[str, float]:
    """The resources that each worker needs.

    Raises:
        ValueError: if all together need more than Ray has or could have by adding nodes: it would wait for ever.
    """
    has_gpu = ray.cluster_resources().get("GPU", 0) > 0  # type: ignore[no-untyped-call]
    needs = {"CPU": float(config.cpus_per_worker)}
    if has_gpu if config.gpu is None else config.gpu:
        needs["GPU"] = 1.0
    most = max_resources() or ray.cluster_resources()  # type: ignore[no-untyped-call]
    for name, each in needs.items():
        if config.workers * each > most.get(name, 0):
            raise ResourceError(
                f"workers={config.workers} with {each:g} {name} each need {config.workers * each:g} {name}, Ray has "
                f"{most.get(name, 0):g}: lower workers or cpus_per_worker, change gpu, or connect to a larger Ray"
            )
    return needs


def fit(config: TrainConfig, needs: dict[str, float], callbacks: list[UserCallback]) -> TrainingState:
    """Run the workers to the end; what goes wrong in them becomes one short error.

    Ray Train starts, watches and replaces workers. Checkpoints are our own (see `run_folder`): Ray's count only once
    its controller has noticed them, and its list of them is not written atomically.
    """
    trainer = TorchTrainer(
        cast(Callable[[dict[Any, Any]], None], train_worker),
        train_loop_config=cast(dict[str, Any], config),  # Ray hands any object through, so a typed config it is
        scaling_config=ScalingConfig(
            num_workers=config.workers, use_gpu="GPU" in needs, resources_per_worker=dict(needs)
        ),
        torch_config=TorchConfig(timeout_s=COLLECTIVE_TIMEOUT_SECONDS),
        run_config=RunConfig(  # type: ignore[call-arg]  # type checkers are shown the class of Ray Train's first version
            name="ray",
            storage_path=config.output,
            failure_config=FailureConfig(max_failures=config.max_failures),
            callbacks=cast(list[Any], callbacks),
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )
    state = wait_for(trainer)
    if state.failed:
        raise TrainingStoppedError(f"training stopped: {state.failed}")
    return state


def wait_for(trainer: TorchTrainer) -> TrainingState:
    """Run the workers to the end, and tell their errors and a Ctrl-C as what they are.

    Raises:
        UserError: if it is the first worker's reason to fail.
        TrainingError: if the reason is another.
        KeyboardInterrupt: if the training was interrupted, which Ray Train ends in a `SystemExit` of status 0.
    """
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        result = cast(Any, trainer.fit())
    except WorkerGroupError as error:
        rank, reason = first_failure(error)
        if mistake := users_mistake(reason):
            raise mistake from error
        lines = str(reason).strip().splitlines()
        said = f"worker {rank}: {type(reason).__name__}: {lines[0] if lines else ''}"
        raise TrainingError(f"training failed: {said}") from error
    except (TrainingFailedError, RayActorError) as error:
        raise TrainingError(f"training failed: {error}") from error
    except SystemExit as end:
        raise KeyboardInterrupt from end
    finally:
        if interrupt and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, interrupt)  # Ray Train leaves its own behind
    state = result.return_value
    assert isinstance(state, TrainingState), f"a worker returned {type(state)}"
    return state


def first_failure(error: WorkerGroupError) -> tuple[int, Exception]:
    """The worker that failed first and its reason; the others fail because they lose their connection to it."""
    lost = ("gloo", "nccl", "connection closed", "connection reset")
    failures = sorted(
        error.worker_failures.items(),
        key=lambda failure: (any(word in str(failure[1]).lower() for word in lost), failure[0]),
    )
    return failures[0]
