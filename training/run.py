"""Where training starts: a Ray Train run around `loop.train_worker`, resumable, with the best epoch as its result."""

from __future__ import annotations

import json
import logging
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import ray
import yaml
from ray.exceptions import RayActorError
from ray.train.torch import TorchConfig
from ray.train.v2.api.callback import UserCallback
from ray.train.v2.api.config import CheckpointConfig, FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError
from ray.train.v2.api.result import Result
from ray.train.v2.torch.torch_trainer import TorchTrainer

from preprocessing.schema import load_index
from training.checkpoint import INFO_NAME, load_info, publish
from training.config import TrainConfig
from training.data import training_plan
from training.loop import Metrics, Progress, train_worker

logger = logging.getLogger(__name__)

RUN_NAME = "ray"
CHECKPOINT_NAME = "checkpoint"
CONFIG_NAME = "config.yaml"
SNAPSHOT_NAME = "checkpoint_manager_snapshot.json"
COLLECTIVE_TIMEOUT_SECONDS = 600


class TrainingError(RuntimeError):
    """A training could not be finished; the message tells the first worker's reason."""


@dataclass(frozen=True)
class TrainResult:
    """What a training has left."""

    checkpoint: Path
    """The best epoch by validation accuracy."""
    best: Metrics
    """Its metrics."""
    history: list[Metrics]
    """Metrics of every epoch."""
    resumed_from: int
    """Epochs that the last attempt found finished; 0 for an undisturbed run."""
    seconds: float


def train(config: TrainConfig, *, callbacks: Sequence[UserCallback] = ()) -> TrainResult:
    """Train on the connected Ray and return the best epoch's checkpoint, `<output>/checkpoint`.

    Running it again with the same settings continues after the last finished epoch; lost workers are replaced up to
    `config.max_failures` times. `callbacks` hear every report, in Ray's controller process.

    Raises:
        ValueError: before any work, if the data set does not fit the settings or `output` holds another training.
        TrainingError: if training failed or its gradient was not finite.
    """
    started = time.monotonic()
    check_data(config)
    output = Path(config.output).absolute()
    claim(output, config)
    set_aside_torn_snapshot(output / RUN_NAME)
    trainer = TorchTrainer(
        cast(Callable[[dict[str, Any]], Progress], train_worker),
        train_loop_config=cast(dict[str, Any], config),  # Ray hands any object through, so a typed config it is
        scaling_config=scaling(config),
        torch_config=TorchConfig(timeout_s=COLLECTIVE_TIMEOUT_SECONDS),
        run_config=RunConfig(
            name=RUN_NAME,
            storage_path=str(output),
            failure_config=FailureConfig(max_failures=config.max_failures),
            checkpoint_config=CheckpointConfig(
                num_to_keep=1,  # beside the latest, which Ray always keeps
                checkpoint_score_attribute=f"validation/{config.validation.best_by}",
                checkpoint_score_order="max",
            ),
            callbacks=list(callbacks),
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )
    progress, result = fit(trainer)
    best = publish_best(result, output / CHECKPOINT_NAME, by=f"validation/{config.validation.best_by}")
    return TrainResult(
        checkpoint=output / CHECKPOINT_NAME,
        best=best,
        history=progress.history,
        resumed_from=progress.resumed_from,
        seconds=time.monotonic() - started,
    )


def check_data(config: TrainConfig) -> None:
    """Refuse a data set that cannot be trained on, before any worker starts."""
    index = load_index(config.data)
    for split in ("train", "validation"):
        if not index.num_clips.get(split):
            raise ValueError(f"data='{config.data}' has no {split} clips")
    training_plan(index.num_clips["train"], batch_size=config.batch_size, seed=config.seed, epoch=0)
    config.model.build(index.format, len(index.classes))


def claim(output: Path, config: TrainConfig) -> None:
    """Note the settings in a new output folder, or make sure that they are those of the training in it."""
    path = output / CONFIG_NAME
    wanted = config.decides_result()
    if path.exists():
        found = yaml.safe_load(path.read_text())
        different = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
        if different:
            lines = [f"  {name}: there {found.get(name)!r}, asked for {wanted.get(name)!r}" for name in different]
            raise ValueError(
                f"output='{output}' holds a training with other settings; choose another output or remove it. "
                "What differs:\n" + "\n".join(lines)
            )
        return
    output.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{CONFIG_NAME}.{uuid.uuid4().hex}")
    partial.write_text(yaml.safe_dump(wanted, sort_keys=False))
    partial.rename(path)


def set_aside_torn_snapshot(run: Path) -> None:
    """Rename Ray's list of checkpoints if it cannot be read or names a missing one: the run would not start with it.

    Ray does not write it atomically. The run then starts from its beginning, and says so.
    """
    path = run / SNAPSHOT_NAME
    if not path.exists():
        return
    try:
        names = [entry["checkpoint_dir_name"] for entry in json.loads(path.read_text())["checkpoint_results"]]
        missing = [name for name in names if not (run / name / INFO_NAME).exists()]
    except (ValueError, KeyError, TypeError) as error:
        missing = [repr(error)]
    if missing:
        path.rename(path.with_name(f"{SNAPSHOT_NAME}.torn-{uuid.uuid4().hex[:8]}"))
        logger.warning("'%s' cannot be used (%s): training starts again", path, ", ".join(missing))


def scaling(config: TrainConfig) -> ScalingConfig:
    """Workers and what each of them needs."""
    has_gpu = ray.cluster_resources().get("GPU", 0) > 0  # type: ignore[no-untyped-call]
    use_gpu = has_gpu if config.gpu is None else config.gpu
    resources: dict[str, float] = {"CPU": config.cpus_per_worker}
    if use_gpu:
        resources["GPU"] = 1
    return ScalingConfig(num_workers=config.workers, use_gpu=use_gpu, resources_per_worker=resources)


def fit(trainer: TorchTrainer) -> tuple[Progress, Result]:
    """Run to the end; what goes wrong in workers becomes one short error."""
    try:
        result = cast(Result, trainer.fit())
    except WorkerGroupError as error:
        rank, reason = next(iter(error.worker_failures.items()))
        raise TrainingError(f"training failed; worker {rank}: {type(reason).__name__}: {reason}") from error
    except (TrainingFailedError, RayActorError) as error:
        raise TrainingError(f"training failed: {error}") from error
    progress = result.return_value
    assert isinstance(progress, Progress), f"a worker returned {type(progress)}"
    if progress.stopped:
        raise TrainingError(f"training stopped: {progress.stopped}")
    return progress, result


def publish_best(result: Result, folder: Path, *, by: str) -> Metrics:
    """Copy the best epoch's checkpoint to `folder` and return its metrics; later epochs win ties."""
    assert result.best_checkpoints, "a finished run has checkpoints"
    checkpoint, _ = max(result.best_checkpoints, key=lambda entry: (entry[1][by], entry[1]["epoch"]))
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    shutil.rmtree(partial, ignore_errors=True)
    checkpoint.to_directory(str(partial))
    publish(partial, folder)
    return load_info(folder).metrics
