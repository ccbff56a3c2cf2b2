"""perceptibility.json: what was found. Every number is a function of the rows and the config."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rich.console import Console

from evaluation.intervals import CONFIDENCE, Interval
from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.reporting.report import percent
from evaluation.stored.report_files import read_report, write_report
from preprocessing.reporting.table import FoldedTable
from preprocessing.settings import Settings
from preprocessing.storage.provenance import Provenance
from training.threat import AudioDomain

PERCEPTIBILITY_NAME = "perceptibility.json"
FORMAT_VERSION: Literal[1] = 1


class Estimate(Settings):
    """A number of a sample of clips."""

    value: float
    interval: Interval | None
    """None = of a single clip, which says nothing about others."""


class Distribution(Settings):
    """A measure over the clips that it can be taken of."""

    num_clips: int
    """Clips whose frames or sound the attack changed (for a signal-to-noise ratio also: that are not silent)."""
    mean: Estimate
    percentile_5: Estimate
    percentile_50: Estimate
    percentile_95: Estimate


class Survival(Settings):
    """The clips that fooled the model as the attack made them, after one storage."""

    storage: str
    still_fooled: float | None
    """Share of them that the model still gets wrong; None = none fooled it."""
    still_fooled_interval: Interval | None


class AttackPerceptibility(Settings):
    """The stored clips of one attack."""

    name: str
    num_clips: int
    num_fooled: int
    """Clips that were right untouched and wrong as the attack made them."""
    ssim_video: Distribution | None
    """Structural similarity of the frames, 1 = the same; None = no frame changed."""
    psnr_video_db: Distribution | None
    """Peak signal-to-noise ratio of the frames; None = no frame changed."""
    snr_audio_db: Distribution | None
    """Signal-to-noise ratio of the waveform; None = none changed, or the attack is on log-mel patches."""
    lsd_audio_db: Distribution | None
    """Log-spectral distance of the sound, 0 = the same; None = none changed."""
    storages: tuple[Survival, ...]


class StorageResult(Settings):
    """One way to store clips."""

    name: str
    title: str
    clean_accuracy: float
    """Share of the same clips, untouched and stored in the same way, that are classified correctly."""
    clean_accuracy_interval: Interval


class ExportedClip(Settings):
    """One adversarial clip and its original as files."""

    key: str
    attack: str
    class_name: str
    clean_class: str
    """The class that the model names for the original."""
    mistaken_for: str
    """The class that it names for the adversarial clip."""
    files: dict[str, str]
    """SHA-256 of each file by its name in the folder."""


class Facts(Settings):
    """The part of a report that does not follow from its rows."""

    class_names: tuple[str, ...]
    threat: str
    """The threat model of all of these clips."""
    audio_domain: AudioDomain
    storage_titles: dict[str, str]
    """By name, every storage that was tried, in words."""
    not_applicable: tuple[str, ...]
    """Storages that could not be tried, and why."""
    enlarged: int
    """Factor by which frames are enlarged in exported movies."""
    exports: tuple[ExportedClip, ...]
    model_sha256: str
    dataset_content_sha256: str
    evaluation_sha256: str
    """Of the evaluation's certificates."""
    rows_sha256: str
    seconds: float
    """Wall-clock time of the measurement."""
    device: str
    objective: str | None
    """Name of the objective that the model was trained by; None = its checkpoint does not say."""
    trained_with: Provenance | None
    """The code, libraries and machine that wrote the checkpoint; None = it does not say."""
    provenance: Provenance
    """The same of this measurement."""


class PerceptibilityReport(Settings):
    """Everything that was found out about the stored adversarial clips of an evaluation."""

    format_version: Literal[1] = FORMAT_VERSION
    num_clips: int
    """Clips that have stored perturbations."""
    clean_accuracy: float
    """Share of them that is right untouched."""
    clean_accuracy_interval: Interval
    attacks: tuple[AttackPerceptibility, ...]
    storages: tuple[StorageResult, ...]
    confidence: float = CONFIDENCE
    """Coverage of all intervals: paired bootstrap over clips, percentiles."""
    facts: Facts
    config: PerceptibilityConfig

    @classmethod
    def read(cls, folder: str | Path) -> PerceptibilityReport:
        """Read `perceptibility.json` of a folder.

        Raises:
            PlaceError: if there is none.
            DataError: if it is no report that this code can read.
        """
        return read_report(cls, folder, PERCEPTIBILITY_NAME, what="report about perceptibility")

    def write(self, folder: Path) -> None:
        """Write `perceptibility.json`; it appears whole or not at all."""
        write_report(self, folder, PERCEPTIBILITY_NAME)

    def tables(self) -> tuple[FoldedTable, FoldedTable]:
        """A row per attack with the means of all measures, and a row per storage with what survives it."""
        measures = FoldedTable(title=f"{self.num_clips} clips under {self.facts.threat}, means", title_justify="left")
        measures.add_column("attack")
        for heading in ("SSIM", "PSNR, dB", "SNR, dB", "log-spectral, dB", "fooled"):
            measures.add_column(heading, justify="right")
        for attack in self.attacks:
            in_decibels = (attack.psnr_video_db, attack.snr_audio_db, attack.lsd_audio_db)
            fooled = f"{attack.num_fooled}/{attack.num_clips}"
            told_means = (told(attack.ssim_video, "{:.3f}"), *(told(each, "{:.1f}") for each in in_decibels))
            measures.add_row(attack.name, *told_means, fooled)
        survivors = FoldedTable(title="share of the fooling clips that still fool as files", title_justify="left")
        survivors.add_column("stored as")
        for heading in ("clean accuracy", *(attack.name for attack in self.attacks)):
            survivors.add_column(heading, justify="right")
        survivors.add_row("not stored", percent(self.clean_accuracy), *["" for _ in self.attacks])
        for place, storage in enumerate(self.storages):
            still = (percent(attack.storages[place].still_fooled) for attack in self.attacks)
            survivors.add_row(storage.name, percent(storage.clean_accuracy), *still)
        return measures, survivors


def told(distribution: Distribution | None, form: str) -> str:
    """The mean of a measure in this form, or a dash."""
    return "-" if distribution is None else form.format(distribution.mean.value)


def print_tables(report: PerceptibilityReport) -> None:
    """Print the report's tables to the console."""
    for table in report.tables():
        Console().print(table)
