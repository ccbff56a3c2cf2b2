"""corruptions.json: what was found. Every number is a function of the predictions and the config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from evaluation.corruptions.config import CorruptionsConfig, Perturbed
from evaluation.corruptions.kinds.base import Group, Severity
from evaluation.corruptions.kinds.listing import CorruptionName
from evaluation.intervals import CONFIDENCE, Interval
from evaluation.reporting.report import percent
from evaluation.stored.report_files import read_report, write_report
from preprocessing.reporting.table import FoldedTable
from preprocessing.settings import Settings
from preprocessing.storage.provenance import Provenance

CORRUPTIONS_NAME = "corruptions.json"
FORMAT_VERSION: Literal[1] = 1


class SeverityResult(Settings):
    """One corruption at one severity."""

    severity: Severity
    accuracy: float
    """Share of all clips that are classified correctly."""
    accuracy_interval: Interval


class Score(Settings):
    """A mean over severities, of one corruption or of several."""

    accuracy: float
    """Mean over severities, and over corruptions if there are several, of the share of clips classified correctly."""
    accuracy_interval: Interval
    corruption_error: float | None
    """The error relative to the reference's: the sum of errors over severities over that of the reference (Hendrycks
    and Dietterich 2019, Section 4.2, arXiv:1903.12261), mean over corruptions; 1 = as bad. None = there is no
    reference, or it errs nowhere."""
    corruption_error_interval: Interval | None


class CorruptionResult(Settings):
    """One corruption of some modalities."""

    name: CorruptionName
    group: Group
    perturbed: Perturbed
    """Modalities that were corrupted."""
    severities: tuple[SeverityResult, ...]
    score: Score


class GroupResult(Settings):
    """The mean over the corruptions of a group that were measured, each counting the same."""

    group: Group | Literal["all"]
    """`all`: every corruption that is no masking."""
    perturbed: Perturbed
    num_corruptions: int
    score: Score


class Strength(Settings):
    """The size of a corruption, whoever looks at the clips: means over the clips that it changed."""

    name: CorruptionName
    severity: Severity
    psnr_video_db: float | None
    """Peak signal-to-noise ratio of the frames; None = none changed."""
    snr_audio_db: float | None
    """Signal-to-noise ratio of the waveform; None = none changed, or all are silent."""


class Reference(Settings):
    """The model that corruption errors are relative to."""

    model_sha256: str
    clean_accuracy: float
    predictions_sha256: str
    """Of its predictions, of which `reference.parquet` is a copy."""


class Facts(Settings):
    """The part of a report that does not follow from its predictions."""

    class_names: tuple[str, ...]
    model_sha256: str
    dataset_content_sha256: str
    predictions_sha256: str
    recordings_sha256: str | None
    """Names the recorded noises; None = they were synthesised."""
    seconds: float
    """Wall-clock time of the measurement."""
    device: str
    objective: str | None
    """Name of the objective that the model was trained by; None = its checkpoint does not say."""
    trained_with: Provenance | None
    """The code, libraries and machine that wrote the checkpoint; None = it does not say."""
    provenance: Provenance
    """The same of the measurement."""


class CorruptionReport(Settings):
    """Everything that a measurement under corruptions found."""

    format_version: Literal[1] = FORMAT_VERSION
    clean_accuracy: float
    clean_accuracy_interval: Interval
    groups: tuple[GroupResult, ...]
    """The means over all corruptions, and over each group; for each set of corrupted modalities."""
    corruptions: tuple[CorruptionResult, ...]
    strengths: tuple[Strength, ...]
    reference: Reference | None
    """None = there is none, and so no corruption errors."""
    num_clips: int
    confidence: float = CONFIDENCE
    """Coverage of all intervals: paired bootstrap over clips, percentiles."""
    facts: Facts
    config: CorruptionsConfig

    @classmethod
    def read(cls, folder: str | Path) -> CorruptionReport:
        """Read `corruptions.json` of a measurement's folder.

        Raises:
            PlaceError: if there is none.
            DataError: if it is no report that this code can read.
        """
        return read_report(cls, folder, CORRUPTIONS_NAME, what="measurement under corruptions")

    def write(self, folder: Path) -> None:
        """Write `corruptions.json`; it appears whole or not at all."""
        write_report(self, folder, CORRUPTIONS_NAME)

    def of(self, perturbed: Perturbed) -> tuple[CorruptionResult, ...]:
        """The corruptions of these modalities, in the order they were listed in."""
        return tuple(result for result in self.corruptions if result.perturbed == perturbed)

    def groups_of(self, perturbed: Perturbed) -> tuple[GroupResult, ...]:
        """The groups with these modalities corrupted, all of them first."""
        return tuple(result for result in self.groups if result.perturbed == perturbed)

    @property
    def headline(self) -> str:
        """The first mean in a few words."""
        first = self.groups[0]
        error = first.score.corruption_error
        relative = "" if error is None else f", mean corruption error {percent(error)}"
        return f"mean accuracy {percent(first.score.accuracy)} with perturbed={first.perturbed}{relative}"

    def table(self) -> Table:
        """A row per corruption: the mean over severities for each set of corrupted modalities.

        With a reference the corruption error of the first set stands beside them.
        """
        perturbed = self.config.perturbed
        table = FoldedTable(title=f"accuracy on {self.num_clips} clips, mean over severities", title_justify="left")
        table.add_column("corruption")
        for each in perturbed:
            table.add_column(each, justify="right")
        if self.reference:
            table.add_column(f"error, {perturbed[0]}", justify="right")
        table.add_row("none", *[percent(self.clean_accuracy)] * len(perturbed))
        for results in zip(*map(self.of, perturbed), strict=True):
            table.add_row(results[0].name, *self._told([each.score for each in results]))
        table.add_section()
        for groups in zip(*map(self.groups_of, perturbed), strict=True):
            table.add_row(f"mean, {groups[0].group}", *self._told([each.score for each in groups]))
        return table

    def _told(self, scores: Sequence[Score]) -> list[str]:
        """One row's numbers."""
        errors = [percent(scores[0].corruption_error)] if self.reference else []
        return [percent(score.accuracy) for score in scores] + errors


def print_table(report: CorruptionReport) -> None:
    """Print the report's table to the console."""
    Console().print(report.table())
