"""The re-check of a measurement under corruptions against its predictions: every number, hash and count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evaluation.corruptions.page import PAGE_NAME
from evaluation.corruptions.predictions import PREDICTIONS_NAME, Predictions
from evaluation.corruptions.reference import REFERENCE_NAME
from evaluation.corruptions.report import CORRUPTIONS_NAME, CorruptionReport
from evaluation.corruptions.summary import summarise
from evaluation.stored.certificates import file_sha256
from evaluation.verification.files import differences
from preprocessing.errors import DataError


def verify(folder: str | Path) -> list[str]:
    """Re-check the folder of a measurement.

    Returns:
        What is wrong, one sentence each; empty if the report can be believed.
    """
    folder = Path(folder)
    missing = [name for name in (CORRUPTIONS_NAME, PAGE_NAME, PREDICTIONS_NAME) if not (folder / name).is_file()]
    if missing:
        return [f"'{folder / name}' does not exist" for name in missing]
    try:
        report = CorruptionReport.read(folder)
        predictions = Predictions.read(folder / PREDICTIONS_NAME)
        reference = Predictions.read(folder / REFERENCE_NAME) if report.reference else None
    except DataError as error:
        return [str(error)]
    return [*_hashes(folder, report, predictions), *_numbers(report, predictions, reference)]


def _hashes(folder: Path, report: CorruptionReport, predictions: Predictions) -> Iterator[str]:
    expected = {PREDICTIONS_NAME: report.facts.predictions_sha256}
    if report.reference:
        expected[REFERENCE_NAME] = report.reference.predictions_sha256
    for name, stated in expected.items():
        if (found := file_sha256(folder / name)) != stated:
            yield f"{name} has SHA-256 {found}, the report was made from {stated}"
    others = set(predictions.column("model_sha256").tolist()) - {report.facts.model_sha256}
    if others:
        named = ", ".join(sorted(others))
        yield f"predictions name other models than the report's {report.facts.model_sha256}: {named}"
    keys = predictions.clips["key"].to_pylist()
    if len(set(keys)) < len(keys):
        yield "clips appear more than once under a corruption"


def _numbers(report: CorruptionReport, predictions: Predictions, reference: Predictions | None) -> Iterator[str]:
    beside = (report.reference, reference) if report.reference and reference else None
    try:
        expected = summarise(predictions, reference=beside, config=report.config, facts=report.facts)
    except ValueError as error:  # of tables that do not fit together, in whatever way
        yield str(error)
        return
    for path, stated, computed in differences(report.model_dump(), expected.model_dump()):
        yield f"{path}: the report says {stated}, the predictions give {computed}"
