"""The start of a look at stored adversarial clips: measure them, store them, write them out, report."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import torch

from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.perceptibility.export import chosen_clips, export
from evaluation.perceptibility.measurement import measure_rows
from evaluation.perceptibility.movies import require_codecs
from evaluation.perceptibility.page import PAGE_NAME, Pictures, perceptibility_page
from evaluation.perceptibility.report import PERCEPTIBILITY_NAME, ExportedClip, Facts, PerceptibilityReport
from evaluation.perceptibility.rows import ROWS_NAME
from evaluation.perceptibility.storages import SOUND_NOT_STORED, Storage, storages_of
from evaluation.perceptibility.subject import Subject, load_subject
from evaluation.perceptibility.summary import summarise
from evaluation.perceptibility.verification import verify
from evaluation.stored.certificates import file_sha256
from preprocessing.errors import PlaceError
from preprocessing.storage.atomic_file import write_text
from preprocessing.storage.output_lock import held
from preprocessing.storage.places import require_writable
from preprocessing.storage.provenance import Provenance, device_name

__all__ = ["measure", "verify"]

logger = logging.getLogger(__name__)


def measure(config: PerceptibilityConfig, *, subject: Subject | None = None) -> PerceptibilityReport:
    """Say how visible and audible an evaluation's stored clips are, export some, and classify them as files.

    It runs in this process, on a GPU if there is one. perceptibility.json is written last: its presence means that all
    is complete. `subject` is what `check` has returned for these settings, if it was called.

    Raises:
        UserError: as `check` says.
    """
    started = time.monotonic()
    subject = subject or check(config)
    with held(config.output, command="perceptibility"):
        return _measure(config, subject, started=started)


def _measure(config: PerceptibilityConfig, subject: Subject, *, started: float) -> PerceptibilityReport:
    clip_format, domain = subject.stored.index.format, subject.threat.audio_domain
    storages = storages_of(config, clip_format, domain)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = measure_rows(subject, storages, device=device, batch_size=config.batch_size)
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PERCEPTIBILITY_NAME).unlink(missing_ok=True)
    rows.write(folder / ROWS_NAME)
    chosen = list(chosen_clips(subject, rows, config.clips))
    exports = export(chosen, folder, config, clip_format)
    facts = _facts(config, subject, storages, exports, device=device, seconds=time.monotonic() - started)
    report = summarise(rows, config=config, facts=facts)
    pictures = Pictures.of(report, rows, [clip.example for clip in chosen])
    write_text(folder / PAGE_NAME, perceptibility_page(report, pictures))
    report.write(folder)
    logger.info("%s: %d clips under %s, %d exported", folder, report.num_clips, facts.threat, len(exports))
    return report


def check(config: PerceptibilityConfig) -> Subject:
    """Refuse what cannot be looked at before anything is written.

    Raises:
        UserError: if there is no such evaluation, it stores no perturbations, its model or data cannot be found or are
            others, a codec is missing, or `output` cannot be used.
    """
    if "://" in config.output:
        raise PlaceError(f"output='{config.output}' is a URL; it must be a folder")
    if Path(config.output).absolute() == Path(config.evaluation).absolute():
        raise PlaceError(f"evaluation and output are both '{config.output}': write into another folder")
    require_writable(config.output)
    subject = load_subject(config)
    require_codecs(subject.stored.index.format.sample_rate_hz)
    return subject


def _facts(
    config: PerceptibilityConfig,
    subject: Subject,
    storages: tuple[Storage, ...],
    exports: tuple[ExportedClip, ...],
    *,
    device: str,
    seconds: float,
) -> Facts:
    report, domain = subject.report, subject.threat.audio_domain
    return Facts(
        class_names=report.class_names,
        threat=report.threat,
        audio_domain=domain,
        storage_titles={storage.name: storage.title for storage in storages},
        not_applicable=(SOUND_NOT_STORED,) if domain == "logmel" else (),
        enlarged=config.enlargement(subject.stored.index.format.frame_size),
        exports=exports,
        model_sha256=subject.victim.sha256,
        dataset_content_sha256=report.dataset_content_sha256,
        evaluation_sha256=report.certificates_sha256,
        rows_sha256=file_sha256(Path(config.output) / ROWS_NAME),
        seconds=seconds,
        device="a GPU" if device == "cuda" else "the processor, without a GPU",
        objective=subject.victim.objective,
        trained_with=subject.victim.provenance,
        provenance=Provenance.on(device_name(device)),
    )
