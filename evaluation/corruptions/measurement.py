"""One task's portion: its clips corrupted in every way that is asked for, and what the model says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from evaluation.corruptions.config import CorruptionsConfig, Perturbed
from evaluation.corruptions.kinds.base import Clip, Severity
from evaluation.corruptions.kinds.listing import CORRUPTIONS, CorruptionName
from evaluation.corruptions.materials.recordings import Recordings
from evaluation.corruptions.predictions import Prediction, Predictions
from evaluation.stored.changes import peak_signal_to_noise_db, signal_to_noise_db
from evaluation.tasks.measurement import predict
from evaluation.tasks.portions import Models, clips_of_the_task, exact_arithmetic
from preprocessing.cluster.shared_places import Landmark, recognise
from preprocessing.errors import DataError
from preprocessing.schema import ClipFormat
from preprocessing.storage.provenance import device_name
from training.batch import Batch
from training.data import open_split


@dataclass(frozen=True)
class Condition:
    """One corruption at one severity."""

    corruption: CorruptionName
    severity: Severity


@dataclass(frozen=True)
class CorruptedPiece:
    """The predictions under one condition on one batch."""

    condition: int
    """Position in the list of conditions."""
    batch: int
    """Position among the task's batches."""
    predictions: Predictions
    device: str
    """Name of the processor or GPU that the model ran on."""


def conditions_of(config: CorruptionsConfig) -> tuple[Condition, ...]:
    """Everything that is measured, corruption after corruption."""
    return tuple(Condition(name, severity) for name in config.corruptions for severity in config.severities)


def recordings_of(config: CorruptionsConfig) -> Recordings | None:
    """The recorded noises; None if they are synthesised."""
    return None if config.noise_folder is None else Recordings(config.noise_folder)


def measure_portion(
    known: tuple[Landmark, ...], models: Models, config: CorruptionsConfig, rank: int
) -> Iterator[CorruptedPiece]:
    """One task's work: whole batches of the clips, under every condition."""
    recognise(known)
    batches = clips_of_the_task(config, rank, audio_domain="waveform")
    clip_format = open_split(config.data, config.split).index.format
    models, _ = models.on_their_device()
    with exact_arithmetic(config.cpus_per_worker):
        yield from measure_corrupted(
            models.victim, batches, config, clip_format=clip_format, model_sha256=models.victim_sha256
        )


def measure_corrupted(
    model: nn.Module,
    batches: Iterable[Batch],
    config: CorruptionsConfig,
    *,
    clip_format: ClipFormat,
    model_sha256: str,
) -> Iterator[CorruptedPiece]:
    """Every condition over every batch of clips, whose sound is their waveform."""
    device = next(model.parameters()).device
    recordings = recordings_of(config)
    for number, batch in enumerate(batches):
        clean_prediction = predict(model, batch.to(device)).tolist()
        for position, condition in enumerate(conditions_of(config)):
            corrupted = corrupt(batch, condition, clip_format=clip_format, seed=config.seed, recordings=recordings)
            columns: dict[str, Sequence[object]] = {
                "key": batch.keys,
                "label": batch.labels.tolist(),
                "clean_prediction": clean_prediction,
                "psnr_video_db": peak_signal_to_noise_db(corrupted.video, batch.video),
                "snr_audio_db": signal_to_noise_db(corrupted.audio, batch.audio),
            }
            for perturbed in ("both", "video", "audio"):
                is_wanted = perturbed in config.perturbed
                seen = predict(model, mingled(batch, corrupted, perturbed).to(device)).tolist() if is_wanted else None
                columns[f"prediction_{perturbed}"] = seen or [None] * len(batch)
            shared = {
                "corruption": condition.corruption,
                "severity": condition.severity,
                "seed": config.seed,
                "model_sha256": model_sha256,
            }
            rows = [
                Prediction.model_validate(shared | dict(zip(columns, values, strict=True)))
                for values in zip(*columns.values(), strict=True)
            ]
            yield CorruptedPiece(position, number, Predictions.from_rows(rows), device_name(str(device)))


def corrupt(
    batch: Batch, condition: Condition, *, clip_format: ClipFormat, seed: int, recordings: Recordings | None
) -> Batch:
    """The clips under one condition, each by itself, so that they are the same in any batch.

    Raises:
        DataError: if the batch has log-mel patches, of which no corrupted sound can be made.
    """
    if not batch.has_waveform:
        raise DataError(
            f"clips have log-mel patches {list(batch.audio.shape[2:])} as their sound, but corruptions are made in the "
            "waveform: read them with audio_domain='waveform'"
        )
    corruption = CORRUPTIONS[condition.corruption]
    corrupted = [
        corruption(clip, condition.severity, seed=seed, recordings=recordings) for clip in clips_of(batch, clip_format)
    ]
    return batch.with_streams(
        video=torch.stack([torch.from_numpy(clip.video) for clip in corrupted]),
        audio=torch.stack([torch.from_numpy(clip.waveform) for clip in corrupted]).reshape(batch.audio.shape),
    )


def clips_of(batch: Batch, clip_format: ClipFormat) -> list[Clip]:
    """The clips of a batch with their segments' sound joined."""
    return [
        Clip(
            video=batch.video[row].numpy(),
            waveform=batch.audio[row].reshape(-1).numpy(),
            sample_rate_hz=clip_format.sample_rate_hz,
            segment_seconds=clip_format.segment_seconds,
            key=key,
        )
        for row, key in enumerate(batch.keys)
    ]


def mingled(clean: Batch, corrupted: Batch, perturbed: Perturbed) -> Batch:
    """The clips with the corrupted version of the modalities that are `perturbed`."""
    return clean.with_streams(
        video=clean.video if perturbed == "audio" else corrupted.video,
        audio=clean.audio if perturbed == "video" else corrupted.audio,
    )
