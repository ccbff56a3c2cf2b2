"""Work divided among Ray tasks, each with the models and a portion of the clips; a lost one begins again elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

import ray
import torch
from ray import ObjectRef
from ray.exceptions import RayTaskError
from torch import nn

from evaluation.planning.plan import Measurement
from preprocessing.cluster.capacity import capacity
from preprocessing.cluster.shared_places import Landmark, SharedPlace, landmarks
from preprocessing.cluster.streams import Streams
from preprocessing.cluster.waiting import cluster_in_words, wait_for
from preprocessing.errors import ResourceError
from preprocessing.reporting.heartbeat import heartbeat
from preprocessing.schema import Split
from training.batch import Batch
from training.data import evaluation_batches
from training.threat import AudioDomain

T = TypeVar("T")

LOST_TASKS = 3
"""Losses of one task after which the work ends; what is finished is kept."""
SECONDS_BETWEEN_LOOKS = 5.0


@dataclass(frozen=True)
class Models:
    """The models of an evaluation, as every task gets a copy of them."""

    victim: nn.Module
    victim_sha256: str
    surrogates: Mapping[str, nn.Module]
    """Those that transferred attacks are crafted on, by name."""

    def source(self, measurement: Measurement) -> nn.Module:
        """The model that an attack is crafted on."""
        return self.victim if measurement.surrogate is None else self.surrogates[measurement.surrogate]

    def on_their_device(self) -> tuple[Models, str]:
        """The same where their task was given them to run, and the name of that device.

        Raises:
            ResourceError: if Ray gave the task a GPU that torch cannot use.
        """
        device = device_of_the_task()
        surrogates = {name: model.to(device).eval() for name, model in self.surrogates.items()}
        return Models(self.victim.to(device).eval(), self.victim_sha256, surrogates), device


def device_of_the_task() -> str:
    """The device that Ray gave this task: `cuda` or `cpu`.

    Raises:
        ResourceError: if it is a GPU that torch cannot use.
    """
    is_on_gpu = bool(ray.get_gpu_ids())
    if is_on_gpu and not torch.cuda.is_available():
        raise ResourceError(
            "Ray gave the evaluation a GPU that torch cannot use: mend the driver of the node (`python -m pipeline "
            "doctor` looks at each), or set gpu=false"
        )
    return "cuda" if is_on_gpu else "cpu"


@runtime_checkable
class Work(Protocol):
    """The settings of anything that is divided among tasks."""

    @property
    def workers(self) -> int:
        """Number of tasks."""

    @property
    def cpus_per_worker(self) -> int:
        """Processor cores of a task."""

    @property
    def gpu(self) -> bool | None:
        """Whether each task gets a GPU; None = if there are any."""

    @property
    def gpus_per_worker(self) -> float:
        """GPUs of a task, if it gets any."""

    @property
    def max_wait_minutes(self) -> float | None:
        """Minutes to wait for a node that can run one; None = without end."""


@runtime_checkable
class WorkOnClips(Work, Protocol):
    """The settings of work on the clips of a split."""

    @property
    def data(self) -> str:
        """The data set."""

    @property
    def split(self) -> Split:
        """The clips' split."""

    @property
    def limit(self) -> int | None:
        """The first so many clips; None = all."""

    @property
    def batch_size(self) -> int:
        """Clips of a batch."""


def clips_of_the_task(work: WorkOnClips, rank: int, *, audio_domain: AudioDomain) -> Iterator[Batch]:
    """The whole batches of clips that the task of this rank works on."""
    return evaluation_batches(
        work.data,
        work.split,
        batch_size=work.batch_size,
        rank=rank,
        world_size=work.workers,
        limit=work.limit,
        audio_domain=audio_domain,
    )


def portions_on_ray(
    work: Work,
    portion: Callable[..., Iterator[T]],
    models: object,
    arguments: Callable[[int], tuple[object, ...] | None],
    *,
    places: Sequence[SharedPlace],
) -> Iterator[tuple[int, T]]:
    """Run `portion(landmarks of the places, models, *arguments(rank))` in `work.workers` tasks.

    A task without arguments is not started. One that is lost begins again, and what it had yielded then comes twice.

    Yields:
        Rank and value, as the values come, in no certain order.
    """
    bundle = _bundle(work)
    wait_for([bundle], what=f"{_in_words(bundle)} for a task", minutes=work.max_wait_minutes)
    streams: Streams[T] = Streams(portion, options=_resources(bundle), max_losses=LOST_TASKS)
    held = ray.put(models)
    ranks = {f"portion {rank + 1}/{work.workers}": rank for rank in range(work.workers)}
    with landmarks(*places) as known:
        for name, rank in ranks.items():
            if arguments(rank) is not None:
                streams.start(name, partial(_all_arguments, known, held, arguments, rank))
    try:
        with heartbeat(lambda: f"measuring in {len(streams)} tasks: {cluster_in_words([bundle])}"):
            while streams:
                for name, value in streams.items(seconds=SECONDS_BETWEEN_LOOKS):
                    yield ranks[name], value
    except RayTaskError as error:
        raise error.cause from error
    finally:
        streams.stop()


def _all_arguments(
    known: tuple[Landmark, ...],
    held: ObjectRef[Any],
    arguments: Callable[[int], tuple[object, ...] | None],
    rank: int,
) -> tuple[object, ...]:
    """The arguments of a task as they are by now."""
    return (known, held, *(arguments(rank) or ()))


def result_of(
    work: Work, once: Callable[..., T], models: Models, *arguments: object, places: Sequence[SharedPlace]
) -> T:
    """The result of `once(landmarks of the places, models, *arguments)` in one task."""
    bundle = _bundle(work)
    wait_for([bundle], what=f"{_in_words(bundle)} for a task", minutes=work.max_wait_minutes)
    task = ray.remote(once).options(**_resources(bundle))
    with landmarks(*places) as known:
        found: T = _get(task.remote(known, models, *arguments))
    return found


def require_resources(work: Work) -> None:
    """Refuse tasks that need more than Ray has, or could have by adding nodes: they would wait for ever.

    Raises:
        ResourceError: with what is needed, what there is and what to change.
        SettingsError: if nobody knows whether there could be a GPU, and `gpu` does not say either.
    """
    bundle = _bundle(work)
    capacity().require(
        [bundle],
        what=f"evaluation tasks take {_in_words(bundle)} each",
        remedy="lower cpus_per_worker or gpus_per_worker, set gpu=false, or connect to a larger Ray",
    )


def device_in_words(work: Work) -> str:
    """The text `GPUs`, or `processors, without a GPU`: where the tasks work."""
    return "GPUs" if "GPU" in _bundle(work) else "processors, without a GPU"


def _bundle(work: Work) -> dict[str, float]:
    """The resources of one task."""
    needs = {"CPU": float(work.cpus_per_worker)}
    return needs | ({"GPU": work.gpus_per_worker} if capacity().gives_gpus(work.gpu) else {})


def _resources(bundle: Mapping[str, float]) -> dict[str, float]:
    """The same as Ray's options name it."""
    return {"num_cpus": bundle["CPU"], "num_gpus": bundle.get("GPU", 0.0)}


def _in_words(bundle: Mapping[str, float]) -> str:
    return " and ".join(f"{amount:g} {name}" for name, amount in bundle.items())


def _get(reference: ObjectRef[T]) -> T:
    """The value, or the task's own error instead of Ray's wrapping of it."""
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise error.cause from error


@contextmanager
def exact_arithmetic(num_threads: int) -> Iterator[None]:
    """Full 32-bit precision, repeatable kernels and a fixed number of threads; as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_num_threads(before)
