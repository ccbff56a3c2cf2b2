"""The workers of a training: what they take, their Ray Train run from the first wait to its end, and why it failed."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, cast

import ray
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
from preprocessing.cluster.shared_places import Landmark
from preprocessing.cluster.waiting import WorkersWatch, wait_for
from preprocessing.errors import ResourceError, SettingsError, users_mistake
from preprocessing.reporting.heartbeat import heartbeat
from training.config import TrainConfig
from training.loop import train_worker
from training.resuming import TrainingState
from training.run_folder import RunFolder
from training.workers.lost import LostWorkers, first_failure, first_line, last_line

logger = logging.getLogger(__name__)

COLLECTIVE_TIMEOUT_SECONDS = 600
"""Workers that wait so long for another one give up; without it they would wait for ever."""
SECONDS_TO_ABORT = 2.0
"""After a Ctrl-C Ray Train's controller has so long to end its workers before it is killed, and they with it."""
NO_GPU = ("no GPUs found", "No CUDA GPUs are available", "NVIDIA driver", "CUDA driver")
"""Words of torch where a GPU was promised and none can be used."""


class TrainingError(RuntimeError):
    """A training was lost to something that no setting explains; its cause has the workers' own tracebacks."""


class TrainingStoppedError(SettingsError):
    """A training ended itself, at settings or data that would end it again; the message tells what to change."""


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
    trainer = InterruptibleTrainer(
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


class InterruptibleTrainer(TorchTrainer):
    """A Ray Train run that a Ctrl-C ends within seconds.

    Ray's own handler waits without a limit for its controller, which may be busy (Ray 2.60). States are stored whole or
    not at all, so that killing it loses what any kill would lose.
    """

    def _register_sigint_handler(self, controller: Any) -> None:
        before = signal.getsignal(signal.SIGINT)

        def interrupt(number: int, frame: FrameType | None) -> None:
            signal.signal(number, before or signal.default_int_handler)  # a second Ctrl-C is not waited for
            ray.wait([controller.abort.remote()], timeout=SECONDS_TO_ABORT)
            ray.kill(controller)
            raise KeyboardInterrupt

        signal.signal(signal.SIGINT, interrupt)


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
