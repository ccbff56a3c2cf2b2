"""The re-check of a report about perceptibility: every number, hash, exported file and word of its page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evaluation.perceptibility.page import PAGE_NAME, Pictures, perceptibility_page
from evaluation.perceptibility.report import PERCEPTIBILITY_NAME, PerceptibilityReport
from evaluation.perceptibility.rows import ROWS_NAME, Rows
from evaluation.perceptibility.summary import summarise
from evaluation.stored.certificates import file_sha256
from evaluation.verification.files import differences, is_of_this_version, page_problems
from preprocessing.errors import DataError


def verify(folder: str | Path) -> list[str]:
    """Re-check the folder of a report. The page is compared by the version that wrote it alone; its pictures are not.

    Returns:
        What is wrong, one sentence each; empty if the report can be believed.
    """
    folder = Path(folder)
    missing = [name for name in (PERCEPTIBILITY_NAME, PAGE_NAME, ROWS_NAME) if not (folder / name).is_file()]
    if missing:
        return [f"'{folder / name}' does not exist" for name in missing]
    try:
        report = PerceptibilityReport.read(folder)
        rows = Rows.read(folder / ROWS_NAME)
    except DataError as error:
        return [str(error)]
    problems = [*_hashes(folder, report, rows), *_numbers(report, rows)]
    if is_of_this_version(report.facts.provenance):
        problems += page_problems(folder / PAGE_NAME, perceptibility_page(report, Pictures.none(report)))
    return problems


def _hashes(folder: Path, report: PerceptibilityReport, rows: Rows) -> Iterator[str]:
    facts = report.facts
    expected = {ROWS_NAME: facts.rows_sha256}
    for clip in facts.exports:
        expected |= clip.files
    for name, stated in expected.items():
        if not (folder / name).is_file():
            yield f"'{folder / name}' does not exist"
        elif (found := file_sha256(folder / name)) != stated:
            yield f"{name} has SHA-256 {found}, the report was made with {stated}"
    for column, stated in (("model_sha256", facts.model_sha256), ("threat", facts.threat)):
        if others := set(rows.table[column].to_pylist()) - {stated}:
            yield f"rows name another {column} than the report's {stated}: {', '.join(sorted(others))}"
    pairs = list(zip(rows.table["attack"].to_pylist(), rows.table["key"].to_pylist(), strict=True))
    if len(set(pairs)) < len(pairs):
        yield "a clip appears more than once under an attack"


def _numbers(report: PerceptibilityReport, rows: Rows) -> Iterator[str]:
    try:
        expected = summarise(rows, config=report.config, facts=report.facts)
    except DataError as error:
        yield str(error)
        return
    for path, stated, computed in differences(report.model_dump(), expected.model_dump()):
        yield f"{path}: the report says {stated}, the rows give {computed}"
