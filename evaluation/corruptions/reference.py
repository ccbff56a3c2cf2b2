"""The reference of corruption errors: another model, measured on the same clips under the same settings."""

from __future__ import annotations

from pathlib import Path

from evaluation.corruptions.config import CorruptionsConfig
from evaluation.corruptions.predictions import PREDICTIONS_NAME, Predictions
from evaluation.corruptions.report import CorruptionReport, Reference
from evaluation.stored.certificates import file_sha256
from preprocessing.errors import DataError, SettingsError
from preprocessing.settings import describe_differences

REFERENCE_NAME = "reference.parquet"
"""The copy of the reference's predictions beside a report."""


def load_reference(
    config: CorruptionsConfig, *, num_clips: int, dataset_content_sha256: str, recordings_sha256: str | None
) -> tuple[Reference, Predictions] | None:
    """The reference that `config` names, with its predictions; None if it names none.

    Raises:
        PlaceError: if the folder holds no finished measurement.
        DataError: if it is of other clips, seeds or noises, was changed afterwards, or lacks a corruption.
    """
    if config.reference is None:
        return None
    if config.reference == config.output:
        raise SettingsError(f"reference and output are both '{config.output}': write into another folder")
    report = CorruptionReport.read(config.reference)
    mine = {
        "dataset_content_sha256": dataset_content_sha256,
        "split": config.split,
        "num_clips": num_clips,
        "seed": config.seed,
        "recordings_sha256": recordings_sha256,
    }
    its = {
        "dataset_content_sha256": report.facts.dataset_content_sha256,
        "split": report.config.split,
        "num_clips": report.num_clips,
        "seed": report.config.seed,
        "recordings_sha256": report.facts.recordings_sha256,
    }
    problems = describe_differences(its, mine, places=("there", "here"))
    for name in ("corruptions", "severities", "perturbed"):
        if lacking := [str(each) for each in getattr(config, name) if each not in getattr(report.config, name)]:
            problems.append(f"{name}: {', '.join(lacking)} was not measured there")
    if problems:
        lines = "\n".join(f"  {line}" for line in problems)
        raise DataError(
            f"reference='{config.reference}' cannot be compared with; measure both with the same settings:\n{lines}"
        )
    path = Path(config.reference) / PREDICTIONS_NAME
    predictions = Predictions.read(path)
    if (found := file_sha256(path)) != report.facts.predictions_sha256:
        raise DataError(f"'{path}' has SHA-256 {found}, its report was made from {report.facts.predictions_sha256}")
    return (
        Reference(
            model_sha256=report.facts.model_sha256,
            clean_accuracy=report.clean_accuracy,
            predictions_sha256=found,
        ),
        predictions,
    )
