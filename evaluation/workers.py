"""The work of one Ray task: load the checkpoint, attack its portion of the clips, hand back certificates as they come.

Each task takes a contiguous run of whole batches, and randomness is keyed by clip, so that the number of tasks changes
nothing: not the batches, not the arithmetic, not the classes found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar, cast, no_type_check

import ray
import torch
from ray import ObjectRef, ObjectRefGenerator
from ray.exceptions import RayTaskError

from evaluation.config import EvaluateConfig
from evaluation.measurement import Example, Measurement, Piece, attack_checked, measure_all, predict
from preprocessing.cluster.capacity import capacity
from preprocessing.cluster.shared_places import Landmark, SharedPlace, landmarks, recognise
from preprocessing.cluster.waiting import cluster_in_words, wait_for
from preprocessing.logmel import LogMel
from preprocessing.reporting.heartbeat import heartbeat
from preprocessing.schema import INDEX_NAME
from training.checkpoint import MODEL_NAME, load_model
from training.data import evaluation_batches, open_split
from training.models import Classifier

T = TypeVar("T")


def shared_places(config: EvaluateConfig) -> tuple[SharedPlace, ...]:
    """The folders that every node must see."""
    return (
        SharedPlace("checkpoint", config.checkpoint, MODEL_NAME),
        SharedPlace("data", config.data, INDEX_NAME),
    )


def measure_on_ray(
    config: EvaluateConfig, measurements: Sequence[Measurement], *, model_sha256: str
) -> Iterator[tuple[int, Piece]]:
    """Divide the clips among `config.workers` tasks; yield (worker, piece) as they finish, in no certain order."""
    wait_for([_bundle(config)], what=f"{_in_words(config)} for a task", minutes=config.max_wait_minutes)
    task = ray.remote(_stream_portion).options(num_returns="streaming", **_resources(config))
    with landmarks(*shared_places(config)) as known:
        waiting: dict[ObjectRefGenerator, int] = {
            cast(ObjectRefGenerator, task.remote(known, config, tuple(measurements), model_sha256, rank)): rank
            for rank in range(config.workers)
        }
    with heartbeat(lambda: f"measuring in {len(waiting)} tasks: {cluster_in_words([_bundle(config)])}"):
        while waiting:
            ready, _ = ray.wait(list(waiting), num_returns=1)
            for stream in cast(list[ObjectRefGenerator], ready):
                try:
                    reference = next(stream)
                except StopIteration:
                    del waiting[stream]
                else:
                    yield waiting[stream], _get(reference)


def show_on_ray(
    config: EvaluateConfig, measurement: Measurement, *, position: int, class_names: Sequence[str]
) -> Example:
    """Attack again the batch that holds the clip at this position and keep that clip's pictures."""
    task = ray.remote(_show).options(**_resources(config))
    with landmarks(*shared_places(config)) as known:
        return _get(task.remote(known, config, measurement, position, tuple(class_names)))


@no_type_check  # Ray knows a streaming task by its `yield`, which a run-time type checker's wrapper would hide
def _stream_portion(*arguments):
    yield from _measure_portion(*arguments)


def _measure_portion(
    known: tuple[Landmark, ...],
    config: EvaluateConfig,
    measurements: tuple[Measurement, ...],
    model_sha256: str,
    rank: int,
) -> Iterator[Piece]:
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
    with exact_arithmetic(config.cpus_per_worker):
        yield from measure_all(_load(config), batches, measurements, seed=config.seed, model_sha256=model_sha256)


def _show(
    known: tuple[Landmark, ...],
    config: EvaluateConfig,
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
        model = _load(config)
        device = next(model.parameters()).device
        perturbed = attack_checked(model, clean.to(device), measurement, seed=config.seed)
        mistaken_for = int(predict(model, perturbed)[row])
        heard = [clip.audio[row].cpu() for clip in (clean, perturbed)]
        if clean.has_waveform:
            heard = [LogMel(stored.index.format)(waveform) for waveform in heard]
    return Example(
        key=clean.keys[row],
        attack=measurement.label,
        threat=str(measurement.threat),
        class_name=class_names[int(clean.labels[row])],
        mistaken_for=class_names[mistaken_for] if mistaken_for >= 0 else "nothing: its scores are not finite",
        clean_video=clean.video[row].numpy(),
        perturbed_video=perturbed.video[row].cpu().numpy(),
        clean_audio=heard[0].numpy(),
        perturbed_audio=heard[1].numpy(),
    )


def _load(config: EvaluateConfig) -> Classifier:
    model, _ = load_model(config.checkpoint)
    model = model.to("cuda" if config.gpus_per_worker else "cpu")
    model.eval()
    return model


def _resources(config: EvaluateConfig) -> dict[str, float]:
    return {"num_cpus": float(config.cpus_per_worker), "num_gpus": config.gpus_per_worker}


def require_resources(config: EvaluateConfig) -> None:
    """Refuse tasks that need more than Ray has, or could have by adding nodes: they would wait for ever.

    Raises:
        ResourceError: with what is needed, what there is and what to change.
    """
    capacity().require(
        [_bundle(config)],
        what=f"evaluation tasks take {_in_words(config)} each",
        remedy="lower cpus_per_worker or gpus_per_worker (0 = no GPU), or connect to a larger Ray",
    )


def _bundle(config: EvaluateConfig) -> dict[str, float]:
    needs = {"CPU": float(config.cpus_per_worker), "GPU": config.gpus_per_worker}
    return {name: amount for name, amount in needs.items() if amount}


def _in_words(config: EvaluateConfig) -> str:
    return " and ".join(f"{amount:g} {name}" for name, amount in _bundle(config).items())


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
