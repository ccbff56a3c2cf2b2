"""The start of an evaluation: divide the clips among Ray tasks, collect certificates, write the report."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np

from evaluation.certificates import CERTIFICATES_NAME, Certificates, file_sha256
from evaluation.config import EvaluateConfig
from evaluation.measurement import Example, Measurement, measurements_of, unbounded_threat
from evaluation.page import PAGE_NAME, report_page
from evaluation.progress import EvaluationProgress
from evaluation.report import REPORT_NAME, Facts, Report
from evaluation.summary import summarise
from evaluation.verification import verify
from evaluation.workers import measure_on_ray, require_resources, shared_places, show_on_ray
from preprocessing.cluster.shared_places import require_shared
from preprocessing.errors import DataError, PlaceError, SettingsError
from preprocessing.schema import DatasetIndex
from preprocessing.storage.atomic_file import write_text
from preprocessing.storage.places import require_writable
from preprocessing.storage.provenance import Provenance
from preprocessing.storage.records import load_index
from training.checkpoint import load_info, load_model, model_sha256

__all__ = ["evaluate", "verify"]

logger = logging.getLogger(__name__)


def evaluate(config: EvaluateConfig) -> Report:
    """Measure a checkpoint and write report.json, report.html and certificates.parquet into `config.output`.

    Ray is initialised by the caller. report.json is written last: its presence means that the evaluation is complete.

    Raises:
        ValueError: if the data set, its split or the checkpoint is missing, the two do not belong together, or the
            threat names segments that the clips do not have.
    """
    started = time.monotonic()
    index = check(config)
    model_hash = model_sha256(config.checkpoint)
    measurements = measurements_of(config, index.format)
    certificates, devices = certify(config, measurements, num_clips=num_clips(config, index), model_sha256=model_hash)
    example = find_example(config, certificates, measurements, class_names=index.classes)
    info = load_info(config.checkpoint)
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT_NAME).unlink(missing_ok=True)
    certificates.write(folder / CERTIFICATES_NAME)
    facts = Facts(
        class_names=index.classes,
        unbounded_threat=str(unbounded_threat(config.threat, index.format)),
        model_sha256=model_hash,
        dataset_content_sha256=index.content_sha256,
        certificates_sha256=file_sha256(folder / CERTIFICATES_NAME),
        seconds=time.monotonic() - started,
        device="GPU" if config.gpus_per_worker else "CPU",
        objective=info.objective,
        trained_with=info.provenance,
        provenance=Provenance.on(", ".join(sorted(devices))),
    )
    report = summarise(certificates, config=config, facts=facts)
    write_text(folder / PAGE_NAME, report_page(report, example))
    report.write(folder)
    for warning in report.warnings:
        logger.warning("%s", warning)
    logger.info("%s: clean accuracy %.3f, %s", folder, report.clean_accuracy, report.headline)
    return report


def check(config: EvaluateConfig) -> DatasetIndex:
    """Refuse what cannot be measured before anything is written; returns the data set's index.

    Raises:
        UserError: if data, checkpoint, Ray or `output` do not suit the settings.
    """
    if "://" in config.output:
        raise PlaceError(f"output='{config.output}' is a URL; it must be a folder")
    require_writable(config.output)
    index = open_data(config)
    load_model(config.checkpoint)
    require_resources(config)
    require_shared(*shared_places(config))
    return index


def certify(
    config: EvaluateConfig, measurements: tuple[Measurement, ...], *, num_clips: int, model_sha256: str
) -> tuple[Certificates, set[str]]:
    """Attack all clips; returns the rows and the names of the processors or GPUs that did it.

    The rows are in the order of measurements, then of clips, whichever worker was faster.
    """
    progress = EvaluationProgress(measurements, num_clips)
    pieces, devices = [], set()
    for worker, piece in measure_on_ray(config, measurements, model_sha256=model_sha256):
        progress.add(piece)
        devices.add(piece.device)
        pieces.append((piece.measurement, worker, piece.batch, piece.rows))
    pieces.sort(key=lambda piece: piece[:3])
    return Certificates.from_rows([row for *_, rows in pieces for row in rows]), devices


def find_example(
    config: EvaluateConfig,
    certificates: Certificates,
    measurements: tuple[Measurement, ...],
    *,
    class_names: tuple[str, ...],
) -> Example | None:
    """The clip that most attacks of the list fooled, under the first iterative one that did; None if none was."""
    listed = measurements[: len(config.attacks)]
    fooled = np.stack([~certificates.select(one.label, str(one.threat)).is_robust for one in listed])
    fooled &= certificates.select(listed[0].label, str(listed[0].threat)).is_right_when_clean
    if not fooled.any():
        return None
    position = int(fooled.sum(0).argmax())
    candidates = [one for one, has_fooled in zip(listed, fooled[:, position], strict=True) if has_fooled]
    shown = next((one for one in candidates if one.cost.backward > 1), candidates[0])
    return show_on_ray(config, shown, position=position, class_names=class_names)


def open_data(config: EvaluateConfig) -> DatasetIndex:
    """The data set's index, checked against the config and the checkpoint before any work starts.

    Raises:
        ValueError: if the data set is not finished, the split is empty, the folder is no checkpoint, or the model was
            trained on other classes or another clip format, or the threat names a segment that clips do not have.
    """
    index, info = load_index(config.data), load_info(config.checkpoint)
    if not index.num_clips.get(config.split):
        counts = ", ".join(f"{split}: {count}" for split, count in index.num_clips.items())
        raise DataError(
            f"split '{config.split}' of '{config.data}' has no clips (it has {counts}); choose another split"
        )
    touched = config.threat.segments
    if touched and touched[-1] >= index.format.num_segments:
        raise SettingsError(
            f"threat {config.threat} names segment {touched[-1]}, but the clips of '{config.data}' have "
            f"{index.format.num_segments} segments (from 0)"
        )
    if info.classes != index.classes:
        raise DataError(
            f"'{config.checkpoint}' knows the classes {', '.join(info.classes)}, "
            f"'{config.data}' has {', '.join(index.classes)}: they must be the same, in the same order"
        )
    if info.clip_format != index.format:
        raise DataError(
            f"'{config.checkpoint}' was trained on clips as {info.clip_format}, '{config.data}' stores {index.format}: "
            "preprocess with the checkpoint's format"
        )
    return index


def num_clips(config: EvaluateConfig, index: DatasetIndex) -> int:
    """The number of clips that are measured."""
    available = index.num_clips[config.split]
    return min(available, config.limit or available)
