"""A finished evaluation with its model, clips and stored perturbations: what is looked at, or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.reporting.report import Report
from evaluation.stored.perturbations import PERTURBATIONS_NAME, Perturbation, read_perturbations
from evaluation.victim import Victim, load_victim, refuse_unnamed
from preprocessing.errors import DataError, PlaceError, SettingsError, UserError
from training.batch import Batch
from training.data import StoredSplit, open_split
from training.threat import ThreatModel

Stored = Mapping[str, Any]
"""A row of stored perturbations."""


@dataclass(frozen=True)
class Subject:
    """An evaluation that can be looked at."""

    report: Report
    victim: Victim
    stored: StoredSplit
    """Its clips; their sound is in the domain of its threat."""
    perturbations: Mapping[str, Sequence[Stored]]
    """By attack of the list, in its order, the stored perturbations under the headline's threat model."""
    positions: Mapping[str, int]
    """Place of every clip in its split."""

    @property
    def threat(self) -> ThreatModel:
        """The threat model of the headline number."""
        return self.report.config.threat

    @property
    def keys(self) -> tuple[str, ...]:
        """The clips that have stored perturbations, in stored order."""
        found = {row["key"] for rows in self.perturbations.values() for row in rows}
        return tuple(sorted(found, key=self.positions.__getitem__))

    def clean(self, keys: Sequence[str]) -> Batch:
        """Untouched clips, on the processor."""
        return self.stored.read([self.positions[key] for key in keys]).to("cpu")

    def perturbed(self, rows: Sequence[Stored], clean: Batch) -> Batch:
        """The adversarial clips of these rows, whose originals are `clean`."""
        return Perturbation.from_rows(rows, clean).applied(clean, self.threat)


def load_subject(config: PerceptibilityConfig) -> Subject:
    """Open an evaluation, its model and its clips, wherever they are now.

    Raises:
        PlaceError: if the folder holds no finished evaluation.
        DataError: if it stores no perturbations, or model or clips are others than its own.
        UserError: if model or data set cannot be opened; the message names the setting that says where they are now.
    """
    report = Report.read(config.evaluation)
    perturbations = _perturbations(report, config.evaluation)
    now = report.config.with_measured_at(config.data).model_copy(update=_checkpoint(report, config))
    refuse_unnamed(report.config, model=config.model, data=config.data)
    try:
        stored = open_split(now.measured, now.split, audio_domain=now.threat.audio_domain)
    except UserError as error:
        raise type(error)(f"the evaluation's data set: {error}; if it was moved, say where it is: data=DIR") from error
    if stored.index.content_sha256 != report.measured_content_sha256:
        raise DataError(
            f"data='{now.measured}' is the data set {stored.index.content_sha256[:12]}, '{config.evaluation}' was "
            f"measured on {report.measured_content_sha256[:12]}: say where that is, data=DIR"
        )
    try:
        victim = load_victim(now, stored.index)
    except UserError as error:
        remedy = "" if now.model else "; if it was moved, say where it is: checkpoint=DIR"
        raise type(error)(f"the evaluation's model: {error}{remedy}") from error
    if victim.sha256 != report.model_sha256:
        raise DataError(
            f"'{now.checkpoint or now.model}' is the model {victim.sha256[:12]}, '{config.evaluation}' measured "
            f"{report.model_sha256[:12]}: say where that is, checkpoint=DIR"
        )
    positions = {clip.key: position for position, (_, clip) in enumerate(stored.clips)}
    unknown = sorted({row["key"] for rows in perturbations.values() for row in rows} - positions.keys())
    if unknown:
        raise DataError(f"'{config.evaluation}' has a perturbation of clip '{unknown[0]}', which its data set has not")
    return Subject(report, victim, stored, perturbations, positions)


def _checkpoint(report: Report, config: PerceptibilityConfig) -> dict[str, object]:
    if config.checkpoint is None:
        return {}
    if report.config.model is not None:
        raise SettingsError(
            f"checkpoint='{config.checkpoint}', but '{config.evaluation}' measured model={report.config.model}, which "
            "is imported by that name: leave checkpoint out"
        )
    return {"checkpoint": config.checkpoint}


def _perturbations(report: Report, folder: str) -> dict[str, list[Stored]]:
    """The stored perturbations of each attack of the list that has any."""
    again = "evaluate again with stored_perturbations=8 (clips) or more"
    if report.config.stored_perturbations == 0:
        raise DataError(f"'{folder}' has no stored perturbations (stored_perturbations=0): {again}")
    path = Path(folder) / PERTURBATIONS_NAME
    if not path.is_file():
        raise PlaceError(f"'{path}' does not exist, without which no adversarial clip can be made: {again}")
    found: dict[str, list[Stored]] = {result.name: [] for result in report.attacks}
    for row in read_perturbations(path):
        if row["threat"] == report.threat and row["attack"] in found:
            found[row["attack"]].append(row)
    if not any(found.values()):
        raise DataError(f"'{path}' has no perturbation by an attack of the list under {report.threat}: {again}")
    return {attack: rows for attack, rows in found.items() if rows}
