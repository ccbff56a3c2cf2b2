"""The start of a measurement under corruptions: divide the clips among tasks, collect predictions, write a report."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from evaluation.corruptions.config import CorruptionsConfig
from evaluation.corruptions.contact_sheet import contact_sheet
from evaluation.corruptions.measurement import CorruptedPiece, clips_of, conditions_of, measure_portion, recordings_of
from evaluation.corruptions.page import PAGE_NAME, corruptions_page
from evaluation.corruptions.pictures import draw_curves, draw_heat_map
from evaluation.corruptions.predictions import PREDICTIONS_NAME, Predictions
from evaluation.corruptions.progress import CorruptionsProgress
from evaluation.corruptions.reference import REFERENCE_NAME, load_reference
from evaluation.corruptions.report import CORRUPTIONS_NAME, CorruptionReport, Facts, Reference
from evaluation.corruptions.summary import summarise
from evaluation.corruptions.verification import verify
from evaluation.planning.clips import index_with_clips, measured_clips
from evaluation.stored.certificates import file_sha256
from evaluation.tasks.portions import Models, device_in_words, portions_on_ray, require_resources
from evaluation.victim import Victim, load_checkpoint
from preprocessing.cluster.shared_places import SharedPlace, require_shared
from preprocessing.errors import PlaceError
from preprocessing.schema import INDEX_NAME, DatasetIndex
from preprocessing.storage.atomic_file import write_text
from preprocessing.storage.output_lock import held
from preprocessing.storage.places import require_writable
from preprocessing.storage.provenance import Provenance
from training.data import evaluation_batches

__all__ = ["measure", "verify"]

logger = logging.getLogger(__name__)

Checked = tuple[DatasetIndex, Victim, tuple[Reference, Predictions] | None]

PICTURES = {name: f"{name}.png" for name in ("curves", "heat_map", "contact_sheet")}
"""File of every picture."""


def measure(config: CorruptionsConfig, *, checked: Checked | None = None) -> CorruptionReport:
    """Measure a checkpoint under corruptions and write the report, its predictions and its pictures.

    Ray is initialised by the caller. corruptions.json is written last: its presence means that all is complete.
    `checked` is what `check` has returned for these settings, if it was called.

    Raises:
        UserError: as `check` says.
    """
    started = time.monotonic()
    checked = checked or check(config)
    with held(config.output, command="corruptions"):
        return _measure(config, *checked, started=started)


def _measure(
    config: CorruptionsConfig,
    index: DatasetIndex,
    victim: Victim,
    reference: tuple[Reference, Predictions] | None,
    *,
    started: float,
) -> CorruptionReport:
    predictions, devices = collect(config, victim, num_clips=measured_clips(index, config.split, config.limit))
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CORRUPTIONS_NAME).unlink(missing_ok=True)
    predictions.write(folder / PREDICTIONS_NAME)
    if reference:
        reference[1].write(folder / REFERENCE_NAME)
    facts = Facts(
        class_names=index.classes,
        model_sha256=victim.sha256,
        dataset_content_sha256=index.content_sha256,
        predictions_sha256=file_sha256(folder / PREDICTIONS_NAME),
        recordings_sha256=recordings_sha256(config),
        seconds=time.monotonic() - started,
        device=device_in_words(config),
        objective=victim.objective,
        trained_with=victim.provenance,
        provenance=Provenance.on(", ".join(sorted(devices))),
    )
    report = summarise(predictions, reference=reference, config=config, facts=facts)
    write_text(folder / PAGE_NAME, corruptions_page(report, draw_pictures(report, index)))
    report.write(folder)
    logger.info("%s: clean accuracy %.3f, %s", folder, report.clean_accuracy, report.headline)
    return report


def check(config: CorruptionsConfig) -> Checked:
    """Refuse what cannot be measured before anything is written; returns the index, the model and the reference.

    Raises:
        UserError: if data, checkpoint, reference, recordings, Ray or `output` do not suit the settings.
    """
    if "://" in config.output:
        raise PlaceError(f"output='{config.output}' is a URL; it must be a folder")
    require_writable(config.output)
    index = index_with_clips(config.data, config.split)
    victim = load_checkpoint(config.checkpoint, index, data=config.data)
    if recordings := recordings_of(config):
        recordings.require(config.noisy)
    reference = load_reference(
        config,
        num_clips=measured_clips(index, config.split, config.limit),
        dataset_content_sha256=index.content_sha256,
        recordings_sha256=recordings_sha256(config),
    )
    require_resources(config)
    require_shared(*shared_places(config))
    return index, victim, reference


def collect(config: CorruptionsConfig, victim: Victim, *, num_clips: int) -> tuple[Predictions, set[str]]:
    """The predictions of all tasks, and the names of the processors or GPUs that made them.

    The rows are in the order of conditions, then of clips, whichever worker was faster.
    """
    progress = CorruptionsProgress(conditions_of(config), num_clips, perturbed=config.perturbed[0])
    found: dict[tuple[int, int, int], CorruptedPiece] = {}
    models = Models(victim.model, victim.sha256, {})
    places = shared_places(config)
    for worker, piece in portions_on_ray(config, measure_portion, models, lambda rank: (config, rank), places=places):
        if (piece.condition, worker, piece.batch) not in found:
            progress.add(piece)
            found[piece.condition, worker, piece.batch] = piece
    ordered = [found[place] for place in sorted(found)]
    return Predictions.joined([piece.predictions for piece in ordered]), {piece.device for piece in ordered}


def draw_pictures(report: CorruptionReport, index: DatasetIndex) -> dict[str, Path]:
    """Draw all pictures of a report into its folder; returns their files by name."""
    config = report.config
    files = {name: Path(config.output) / file for name, file in PICTURES.items()}
    draw_curves(report, files["curves"])
    draw_heat_map(report, files["heat_map"])
    first = next(evaluation_batches(config.data, config.split, batch_size=1, limit=1, audio_domain="waveform"))
    contact_sheet(
        clips_of(first, index.format)[0],
        config.corruptions,
        files["contact_sheet"],
        clip_format=index.format,
        seed=config.seed,
        recordings=recordings_of(config),
    )
    return files


def shared_places(config: CorruptionsConfig) -> tuple[SharedPlace, ...]:
    """The folders that every node must see."""
    places = [SharedPlace("data", config.data, INDEX_NAME)]
    if recordings := recordings_of(config):
        files = [file for name in config.noisy for file in recordings.files(name)]
        landmark = str(files[0].relative_to(recordings.folder)) if files else ""
        places.append(SharedPlace("noise_folder", recordings.folder, landmark))
    return tuple(places)


def recordings_sha256(config: CorruptionsConfig) -> str | None:
    """Names the recorded noises of the listed corruptions; None if noises are synthesised."""
    recordings = recordings_of(config)
    return recordings.sha256(config.noisy) if recordings else None
