"""The work of one Ray task: take the model, attack its portion of the clips, hand back certificates as they come.

Each task takes a contiguous run of whole batches, and randomness is keyed by clip, so that the number of tasks changes
nothing: not the batches, not the arithmetic, not the classes found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from evaluation.config import EvaluateConfig
from evaluation.planning.estimate import Speed, speed_of
from evaluation.planning.moments import open_pairs
from evaluation.planning.plan import Measurement
from evaluation.stored.perturbations import sampled_keys
from evaluation.stored.pieces import Piece, Position
from evaluation.tasks.crafting import attack_checked
from evaluation.tasks.measurement import NOT_FINITE, Example, IsFooled, measure_all, predict
from evaluation.tasks.portions import Models, clips_of_the_task, exact_arithmetic, portions_on_ray, result_of
from preprocessing.cluster.shared_places import Landmark, SharedPlace, recognise
from preprocessing.logmel import LogMel
from preprocessing.schema import INDEX_NAME
from preprocessing.storage.provenance import device_name
from training.data import StoredSplit, evaluation_batches, open_split, portion_of


def shared_places(config: EvaluateConfig) -> tuple[SharedPlace, ...]:
    """The folders that every node must see."""
    places = {"data": config.data} | ({"moments": config.moments} if config.moments else {})
    return tuple(SharedPlace(name, place, INDEX_NAME) for name, place in places.items())


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


def show_on_ray(
    config: EvaluateConfig, models: Models, measurement: Measurement, *, position: int, class_names: Sequence[str]
) -> Example:
    """Attack again the batch that holds the clip at this position and keep that clip's pictures."""
    arguments = (config, measurement, position, tuple(class_names))
    return result_of(config, _show, models, *arguments, places=shared_places(config))


def measure_speed_on_ray(config: EvaluateConfig, models: Models) -> Speed:
    """Time passes of the model over the first batch, where the evaluation would run."""
    return result_of(config, _measure_speed, models, config, places=shared_places(config))


def _measure_speed(known: tuple[Landmark, ...], models: Models, config: EvaluateConfig) -> Speed:
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
    batches = clips_of_the_task(config, rank, audio_domain=config.threat.audio_domain)
    keys = measured_keys(open_split(config.data, config.split), config.limit)
    pairs = open_pairs(config.data, config.moments, config.split, config.threat)
    models, _ = models.on_their_device()
    with exact_arithmetic(config.cpus_per_worker):
        yield from measure_all(
            models.victim,
            batches,
            measurements,
            seed=config.seed,
            model_sha256=models.victim_sha256,
            surrogates=models.surrogates,
            sampled=pairs.sampled_clips if pairs else None,
            first_batch=first_batch,
            stored=sampled_keys(keys, num_clips=config.stored_perturbations, seed=config.seed),
            kept=kept,
        )


def measured_keys(stored: StoredSplit, limit: int | None) -> tuple[str, ...]:
    """The keys of the clips that an evaluation measures, in order."""
    return tuple(clip.key for _, clip in stored.clips[:limit])


def _show(
    known: tuple[Landmark, ...],
    models: Models,
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
    attacked = next(batches)
    pairs = open_pairs(config.data, config.moments, config.split, config.threat)
    moments = pairs.sampled_clips(attacked.keys) if pairs else None
    clean = moments.untouched(attacked) if moments else attacked
    with exact_arithmetic(config.cpus_per_worker), torch.no_grad():
        models, device = models.on_their_device()
        source, there = models.source(measurement), moments.to(device) if moments else None
        perturbation = attack_checked(source, attacked.to(device), measurement, seed=config.seed, moments=there)
        perturbed = perturbation.applied(clean.to(device), measurement.threat)
        mistaken_for = int(predict(models.victim, perturbed)[row])
        heard = [clip.audio[row].cpu() for clip in (clean, perturbed)]
        if clean.has_waveform:
            shown = pairs.sampled if pairs else stored
            heard = [LogMel(shown.index.format)(waveform) for waveform in heard]
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
