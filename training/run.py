"""The start of training: a Ray Train run around `loop.train_worker`, resumable, with the best epoch as its result."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from ray.exceptions import RayActorError
from ray.train import (
    ControllerError,
    FailureConfig,
    LoggingConfig,
    RunConfig,
    ScalingConfig,
    TrainingFailedError,
    UserCallback,
    WorkerGroupError,
)
from ray.train.torch import TorchConfig, TorchTrainer

from preprocessing.cluster.capacity import capacity
from preprocessing.cluster.shared_places import Landmark, SharedPlace, landmarks, require_shared
from preprocessing.cluster.waiting import WorkersWatch, wait_for
from preprocessing.errors import DataError, PlaceError, ResourceError, SettingsError, users_mistake
from preprocessing.reporting.heartbeat import heartbeat
from preprocessing.schema import INDEX_NAME, DatasetIndex
from preprocessing.storage.places import require_writable
from preprocessing.storage.records import load_index
from training.config import TrainConfig
from training.data import training_plan
from training.loop import train_worker
from training.models.weights import IMAGENET, NONE
from training.resuming import TrainingState
from training.run_folder import Metrics, RunFolder, TrainingOutcome
from training.workers.lost import LostWorkers, first_failure, first_line, last_line

logger = logging.getLogger(__name__)

COLLECTIVE_TIMEOUT_SECONDS = 600
"""Workers that wait so long for another one give up; without it they would wait for ever."""


NO_GPU = ("no GPUs found", "No CUDA GPUs are available", "NVIDIA driver", "CUDA driver")
"""Words of torch where a GPU was promised and none can be used."""


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
        with landmarks(*shared_places(config)) as known:
            state = fit(config, worker_resources(config), callbacks, known)
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
        require_shared(*shared_places(config))
    return settings


def shared_places(config: TrainConfig) -> tuple[SharedPlace, ...]:
    """The folders that every node must see: what is written, what is read, and weights to begin with."""
    files = {"video": config.model.video_weights, "audio": config.model.audio_weights}
    weights = [
        SharedPlace(f"the folder of model.{modality}_weights", str(Path(file).parent), Path(file).name)
        for modality, file in files.items()
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
    index = load_index(config.data)
    if not index.num_clips.get("validation"):
        raise DataError(f"data='{config.data}' has no validation clips")
    training_plan(index.num_clips.get("train", 0), batch_size=config.batch_size, seed=config.seed, epoch=0)
    model = config.model.build(index.format, len(index.classes))
    if not is_begun:
        config.model.load_pretrained(model)
    return index


def worker_resources(config: TrainConfig) -> dict[str, float]:
    """The resources that each worker takes.

    Raises:
        ResourceError: if all together take more than Ray has or could have by adding nodes: it would wait for ever.
        SettingsError: if nobody knows whether there could be a GPU, and `gpu` does not say either.
    """
    there = capacity()
    needs = {"CPU": float(config.cpus_per_worker)}
    if there.gives_gpus(config.gpu):
        needs["GPU"] = 1.0
    there.require(
        [needs] * config.workers,
        what=f"training takes {workers_in_words(config, needs)}",
        remedy="lower workers or cpus_per_worker, change gpu, or connect to a larger Ray",
    )
    return needs


def workers_in_words(config: TrainConfig, needs: Mapping[str, float]) -> str:
    """The text `2 workers with 1 GPU and 4 CPU each`."""
    each = " and ".join(f"{amount:g} {name}" for name, amount in sorted(needs.items(), reverse=True))
    return f"{config.workers} worker{'s' * (config.workers != 1)} with {each}{' each' * (config.workers != 1)}"


def fit(
    config: TrainConfig, needs: dict[str, float], callbacks: Sequence[UserCallback], known: tuple[Landmark, ...] = ()
) -> TrainingState:
    """Wait for the workers' places and run them to the end; what goes wrong in them becomes one short error.

    Ray Train starts, watches and replaces workers. Checkpoints are our own (see `run_folder`): Ray's count only once
    its controller has noticed them, and its list of them is not written atomically.
    """
    wanted, bundles = workers_in_words(config, needs), [needs] * config.workers
    logger.info("training with %s, on %s", wanted, "GPUs" if "GPU" in needs else "processors, without a GPU")
    wait_for(bundles, what=wanted, minutes=config.max_wait_minutes)
    told: list[Any] = [LostWorkers(RunFolder(Path(config.output)).newest, max_failures=config.max_failures), *callbacks]
    trainer = TorchTrainer(
        cast(Callable[[dict[Any, Any]], None], partial(train_worker, known=known)),
        train_loop_config=cast(dict[str, Any], config),  # Ray hands any object through, so a typed config it is
        scaling_config=ScalingConfig(
            num_workers=config.workers, use_gpu="GPU" in needs, resources_per_worker=dict(needs)
        ),
        torch_config=TorchConfig(timeout_s=COLLECTIVE_TIMEOUT_SECONDS),
        run_config=RunConfig(  # type: ignore[call-arg]  # type checkers are shown the class of Ray Train's first version
            name="ray",
            storage_path=config.output,
            failure_config=FailureConfig(max_failures=config.max_failures),
            callbacks=told,
            logging_config=LoggingConfig(log_level="CRITICAL"),
        ),
    )
    in_main_thread = threading.current_thread() is threading.main_thread()
    watch = WorkersWatch(bundles, what=wanted, minutes=config.max_wait_minutes if in_main_thread else None)
    with heartbeat(watch.line):
        try:
            state = result_of(trainer)
        except KeyboardInterrupt:
            if watch.gave_up:
                raise watch.gave_up from None
            raise
    if state.failed:
        raise TrainingStoppedError(f"training stopped: {state.failed}")
    return state


def result_of(trainer: TorchTrainer) -> TrainingState:
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
        rank, reason = first_failure(error.worker_failures)
        if mistake := users_mistake(reason):
            raise mistake from error
        raise TrainingError(f"training failed: worker {rank}: {first_line(reason)}") from error
    except ControllerError as error:
        if any(said in str(error) for said in NO_GPU):
            raise ResourceError(
                f"Ray gave the workers GPUs that torch cannot use there ({last_line(error)}): mend the driver of the "
                "node (`python -m pipeline doctor` looks at each), or set gpu=false"
            ) from error
        raise TrainingError(f"training failed: {last_line(error)}") from error
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
