"""The rows of all stored adversarial clips: their measures, and what the model says of them once they were files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from evaluation.perceptibility.measures import log_spectral_distance_db, structural_similarity
from evaluation.perceptibility.rows import Row, Rows
from evaluation.perceptibility.storages import Storage
from evaluation.perceptibility.subject import Stored, Subject
from evaluation.stored.changes import peak_signal_to_noise_db, signal_to_noise_db
from evaluation.tasks.measurement import predict
from evaluation.tasks.portions import exact_arithmetic
from preprocessing.logmel import LogMel
from preprocessing.reporting.progress import announced
from preprocessing.schema import ClipFormat
from training.batch import MODALITIES, Batch

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """The classes of one clip, as it is and after each storage."""

    prediction: int
    stored_predictions: Mapping[str, int]


def measure_rows(subject: Subject, storages: Sequence[Storage], *, device: str, batch_size: int) -> Rows:
    """A row for every adversarial clip, attack after attack; progress is logged."""
    look = _Look(subject, storages, subject.victim.model.to(device), device)
    with exact_arithmetic(torch.get_num_threads()):
        clean: dict[str, Seen] = {}
        for keys in look.announced(_groups(subject.keys, batch_size), what="storing untouched clips"):
            clean |= zip(keys, look.seen(subject.clean(keys)), strict=True)
        found: list[Row] = []
        for attack, rows in subject.perturbations.items():
            for group in look.announced(_groups(rows, batch_size), what=f"storing clips of {attack}"):
                found += look.rows(group, clean)
    return Rows.from_rows(found)


def _groups(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


class _Look:
    """The model and the storages through which clips are looked at."""

    def __init__(self, subject: Subject, storages: Sequence[Storage], model: nn.Module, device: str) -> None:
        self._subject = subject
        self._storages = storages
        self._model = model
        self._device = device

    @staticmethod
    def announced(groups: Sequence[Sequence[T]], *, what: str) -> Iterator[Sequence[T]]:
        """The groups, with a line every few seconds."""
        return announced(groups, total=len(groups), log=logger.info, what=f"{what}, batch")

    def seen(self, batch: Batch) -> list[Seen]:
        """The classes that the model names for each clip of a batch, as it is and after each storage."""
        plain = self._classes(batch)
        stored = {storage.name: self._classes(storage.stored(batch)) for storage in self._storages}
        return [
            Seen(prediction, {name: classes[number] for name, classes in stored.items()})
            for number, prediction in enumerate(plain)
        ]

    def rows(self, stored: Sequence[Stored], clean_seen: Mapping[str, Seen]) -> list[Row]:
        """The rows of some stored perturbations."""
        clean = self._subject.clean([row["key"] for row in stored])
        perturbed = self._subject.perturbed(stored, clean)
        found = measures_of(perturbed, clean, self._subject.stored.index.format)
        return [
            Row(
                key=row["key"],
                label=label,
                attack=row["attack"],
                threat=row["threat"],
                clean_prediction=clean_seen[row["key"]].prediction,
                perturbed_prediction=seen.prediction,
                stored_predictions=dict(seen.stored_predictions),
                clean_stored_predictions=dict(clean_seen[row["key"]].stored_predictions),
                model_sha256=self._subject.victim.sha256,
                **measures,
            )
            for row, label, seen, measures in zip(
                stored, clean.labels.tolist(), self.seen(perturbed), found, strict=True
            )
        ]

    def _classes(self, batch: Batch) -> list[int]:
        classes: list[int] = predict(self._model, batch.to(self._device)).tolist()
        return classes


def measures_of(perturbed: Batch, clean: Batch, clip_format: ClipFormat) -> list[dict[str, float | None]]:
    """The columns of `MEASURES` of each clip; None where its modality did not change.

    Each clip is measured by itself, so that no bit depends on the others of its batch.
    """
    singles = [torch.tensor([number]) for number in range(len(clean))]
    return [_measures(perturbed.select(one), clean.select(one), clip_format) for one in singles]


def _measures(perturbed: Batch, clean: Batch, clip_format: ClipFormat) -> dict[str, float | None]:
    """Those of a batch of one clip."""
    is_seen, is_heard = (not torch.equal(perturbed.stream(name), clean.stream(name)) for name in MODALITIES)
    [similarity] = structural_similarity(perturbed.video, clean.video)
    [distance] = log_spectral_distance_db(patches_of(perturbed, clip_format), patches_of(clean, clip_format))
    [peak_ratio] = peak_signal_to_noise_db(perturbed.video, clean.video)
    return {
        "ssim_video": similarity if is_seen else None,
        "psnr_video_db": peak_ratio,
        "snr_audio_db": signal_to_noise_db(perturbed.audio, clean.audio)[0] if clean.has_waveform else None,
        "lsd_audio_db": distance if is_heard else None,
    }


def patches_of(batch: Batch, clip_format: ClipFormat) -> Float[Tensor, "batch segments mels steps"]:
    """The log-mel patches of a batch, those of its waveforms if it has waveforms."""
    return LogMel(clip_format)(batch.audio) if batch.has_waveform else batch.audio
