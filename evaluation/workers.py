"""The work of one Ray task: take the model, attack its portion of the clips, hand back certificates as they come.

Each task takes a contiguous run of whole batches, and randomness is keyed by clip, so that the number of tasks changes
nothing: not the batches, not the arithmetic, not the classes found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import ray
import torch
from ray import ObjectRef
from ray.exceptions import RayTaskError
from torch import nn

from evaluation.config import EvaluateConfig
from evaluation.estimate import Speed, speed_of
from evaluation.measurement import NOT_FINITE, Example, IsFooled, attack_checked, measure_all, predict
from evaluation.perturbations import sampled_keys
from evaluation.pieces import Piece, Position
from evaluation.plan import Measurement
from preprocessing.cluster.capacity import capacity
from preprocessing.cluster.shared_places import Landmark, SharedPlace, landmarks, recognise
from preprocessing.cluster.streams import Streams
from preprocessing.cluster.waiting import cluster_in_words, wait_for
from preprocessing.errors import ResourceError
from preprocessing.logmel import LogMel
from preprocessing.reporting.heartbeat import heartbeat
from preprocessing.schema import INDEX_NAME
from preprocessing.storage.provenance import device_name
from training.data import StoredSplit, evaluation_batches, open_split, portion_of

T = TypeVar("T")

LOST_TASKS = 3
"""Losses of one task after which the evaluation ends; what is finished is kept."""
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
        is_on_gpu = bool(ray.get_gpu_ids())
        if is_on_gpu and not torch.cuda.is_available():
            raise ResourceError(
                "Ray gave the evaluation a GPU that torch cannot use: mend the driver of the node (`python -m pipeline "
                "doctor` looks at each), or set gpu=false"
            )
        device = "cuda" if is_on_gpu else "cpu"
        surrogates = {name: model.to(device).eval() for name, model in self.surrogates.items()}
        return Models(self.victim.to(device).eval(), self.victim_sha256, surrogates), device


def shared_places(config: EvaluateConfig) -> tuple[SharedPlace, ...]:
    """The folders that every node must see."""
    return (SharedPlace("data", config.data, INDEX_NAME),)


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


def measure_on_ray(
    config: EvaluateConfig,
    models: Models,
    measurements: Sequence[Measurement],
    *,
    num_batches: int,
    kept: Mapping[Position, Piece],
) -> Iterator[Piece]:
    """Divide the clips among `config.workers` tasks; yield pieces as they finish, in no certain order.

    Pieces that were `kept` are not measured again.
    """
    found = {place: ~piece.certificates.is_robust for place, piece in kept.items()}

    def arguments(rank: int) -> tuple[object, ...] | None:
        portion = portion_of(num_batches, rank=rank, world_size=config.workers)
        there = {place: fooled for place, fooled in found.items() if place[1] in portion}
        is_done = len(there) == len(portion) * len(measurements)
        return None if is_done else (config, tuple(measurements), rank, portion.start, there)

    for _, piece in portions_on_ray(config, measure_portion, models, arguments, places=shared_places(config)):
        if piece.position not in found:
            found[piece.position] = ~piece.certificates.is_robust
            yield piece


def portions_on_ray(
    work: Work,
    portion: Callable[..., Iterator[T]],
    models: Models,
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
                streams.start(name, lambda rank=rank: (known, held, *(arguments(rank) or ())))  # type: ignore[misc]
    try:
        with heartbeat(lambda: f"measuring in {len(streams)} tasks: {cluster_in_words([bundle])}"):
            while streams:
                for name, value in streams.items(seconds=SECONDS_BETWEEN_LOOKS):
                    yield ranks[name], value
    except RayTaskError as error:
        raise error.cause from error
    finally:
        streams.stop()


def show_on_ray(
    config: EvaluateConfig, models: Models, measurement: Measurement, *, position: int, class_names: Sequence[str]
) -> Example:
    """Attack again the batch that holds the clip at this position and keep that clip's pictures."""
    task = ray.remote(_show).options(**_resources(_bundle(config)))
    with landmarks(*shared_places(config)) as known:
        return _get(task.remote(known, config, models, measurement, position, tuple(class_names)))


def measure_speed_on_ray(config: EvaluateConfig, models: Models) -> Speed:
    """Time passes of the model over the first batch, where the evaluation would run."""
    bundle = _bundle(config)
    wait_for([bundle], what=f"{_in_words(bundle)} for a task", minutes=config.max_wait_minutes)
    task = ray.remote(_measure_speed).options(**_resources(bundle))
    with landmarks(*shared_places(config)) as known:
        return _get(task.remote(known, config, models))


def _measure_speed(known: tuple[Landmark, ...], config: EvaluateConfig, models: Models) -> Speed:
    recognise(known)
    batches = evaluation_batches(
        config.data,
        config.split,
        batch_size=config.batch_size,
        limit=min(config.batch_size, config.limit or config.batch_size),
        audio_domain=config.threat.audio_domain,
    )
    with exact_arithmetic(config.cpus_per_worker):
        models, device = models.on_their_device()
        return speed_of(models.victim, next(batches).to(device), device=device_name(device))


def measure_portion(
    known: tuple[Landmark, ...],
    models: Models,
    config: EvaluateConfig,
    measurements: tuple[Measurement, ...],
    rank: int,
    first_batch: int,
    kept: Mapping[Position, IsFooled],
) -> Iterator[Piece]:
    """One task's pieces, as they are finished, without those that are `kept`."""
    recognise(known)
    batches = evaluation_batches(
        config.data,
        config.split,
        batch_size=config.batch_size,
        rank=rank,
        world_size=config.workers,
        limit=config.limit,
        audio_domain=config.threat.audio_domain,
    )
    keys = measured_keys(open_split(config.data, config.split), config.limit)
    models, _ = models.on_their_device()
    with exact_arithmetic(config.cpus_per_worker):
        yield from measure_all(
            models.victim,
            batches,
            measurements,
            seed=config.seed,
            model_sha256=models.victim_sha256,
            surrogates=models.surrogates,
            first_batch=first_batch,
            stored=sampled_keys(keys, num_clips=config.stored_perturbations, seed=config.seed),
            kept=kept,
        )


def measured_keys(stored: StoredSplit, limit: int | None) -> tuple[str, ...]:
    """The keys of the clips that an evaluation measures, in order."""
    return tuple(clip.key for _, clip in stored.clips[:limit])


def _show(
    known: tuple[Landmark, ...],
    config: EvaluateConfig,
    models: Models,
    measurement: Measurement,
    position: int,
    class_names: tuple[str, ...],
) -> Example:
    recognise(known)
    stored = open_split(config.data, config.split, audio_domain=config.threat.audio_domain)
    number, row = divmod(position, config.batch_size)
    num_batches = -(-min(len(stored), config.limit or len(stored)) // config.batch_size)
    batches = evaluation_batches(
        config.data,
        config.split,
        batch_size=config.batch_size,
        rank=number,
        world_size=num_batches,
        limit=config.limit,
        stored=stored,
    )
    clean = next(batches)
    with exact_arithmetic(config.cpus_per_worker), torch.no_grad():
        models, device = models.on_their_device()
        perturbation = attack_checked(models.source(measurement), clean.to(device), measurement, seed=config.seed)
        perturbed = perturbation.applied(clean.to(device), measurement.threat)
        mistaken_for = int(predict(models.victim, perturbed)[row])
        heard = [clip.audio[row].cpu() for clip in (clean, perturbed)]
        if clean.has_waveform:
            heard = [LogMel(stored.index.format)(waveform) for waveform in heard]
    return Example(
        key=clean.keys[row],
        attack=measurement.label,
        threat=str(measurement.threat),
        class_name=class_names[int(clean.labels[row])],
        mistaken_for=class_names[mistaken_for] if mistaken_for >= 0 else NOT_FINITE,
        clean_video=clean.video[row].numpy(),
        perturbed_video=perturbed.video[row].cpu().numpy(),
        clean_audio=heard[0].numpy(),
        perturbed_audio=heard[1].numpy(),
    )


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
