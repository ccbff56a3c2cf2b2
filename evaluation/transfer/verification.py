"""The re-check of a measurement of transfer against its outcomes: numbers, hashes, counts, budgets and the page."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from pathlib import Path

import numpy as np

from evaluation.stored.certificates import file_sha256
from evaluation.stored.changes import allowed_distance
from evaluation.transfer.outcomes import OUTCOMES_NAME, Outcomes
from evaluation.transfer.page import PAGE_NAME, transfer_page
from evaluation.transfer.report import TRANSFER_NAME, TransferReport
from evaluation.transfer.summary import summarise
from evaluation.verification.files import differences, is_of_this_version, page_problems
from preprocessing.errors import DataError
from training.batch import MODALITIES

SHOWN = 5
"""Rows of a kind that are told one by one."""


def verify(folder: str | Path) -> list[str]:
    """Re-check the folder of a measurement.

    Returns:
        What is wrong, one sentence each; empty if the report can be believed.
    """
    folder = Path(folder)
    missing = [name for name in (TRANSFER_NAME, PAGE_NAME, OUTCOMES_NAME) if not (folder / name).is_file()]
    if missing:
        return [f"'{folder / name}' does not exist" for name in missing]
    try:
        report = TransferReport.read(folder)
        outcomes = Outcomes.read(folder / OUTCOMES_NAME)
    except DataError as error:
        return [str(error)]
    problems = [
        *_hashes(folder, report, outcomes),
        *_rows(outcomes),
        *_budgets(outcomes),
        *_numbers(report, outcomes),
    ]
    if not problems:  # without a problem all rows are there
        problems += _untouched(report, outcomes)
    if is_of_this_version(report.facts.provenance):
        problems += page_problems(folder / PAGE_NAME, transfer_page(report, {}))
    return problems


def _hashes(folder: Path, report: TransferReport, outcomes: Outcomes) -> Iterator[str]:
    found = file_sha256(folder / OUTCOMES_NAME)
    if found != report.facts.outcomes_sha256:
        yield f"{OUTCOMES_NAME} has SHA-256 {found}, the report was made from {report.facts.outcomes_sha256}"
    known = {model.name: model.sha256 for model in report.facts.models}
    pairs = zip(outcomes.column("victim").tolist(), outcomes.column("victim_sha256").tolist(), strict=True)
    for victim, sha256 in sorted(set(pairs)):
        if known.get(victim) != sha256:
            yield f"outcomes say that '{victim}' is the model {sha256}, the report says {known.get(victim)}"


def _rows(outcomes: Outcomes) -> Iterator[str]:
    """Whatever a row says twice must be said alike."""
    label = outcomes.column("label")
    says_right = outcomes.truths("victim_right")
    is_right = outcomes.column("victim_prediction") == label
    fooled = outcomes.table["fooled"]
    said = np.array(fooled.fill_null(False).to_numpy(), dtype=bool)
    is_counted = np.asarray(fooled.is_valid().to_numpy(), dtype=bool)
    for column, wrong in (
        ("victim_right", says_right != is_right),
        ("fooled", (is_counted != outcomes.counts) | (said != outcomes.is_fooled)),
    ):
        for row in np.flatnonzero(wrong)[:SHOWN].tolist():
            yield f"{_named(outcomes, row)}: {column} is not what its predictions say"


def _budgets(outcomes: Outcomes) -> Iterator[str]:
    """No clip may lie farther from its clean version than its threat model allows, or be changed where it must not."""
    for name in MODALITIES:
        epsilons, distances = outcomes.numbers(f"epsilon_{name}"), outcomes.numbers(f"distance_{name}")
        allowed = {epsilon: allowed_distance(epsilon) for epsilon in set(epsilons.tolist())}
        too_far = ~(distances <= np.array([allowed[epsilon] for epsilon in epsilons.tolist()]))
        for row in np.flatnonzero(too_far)[:SHOWN].tolist():
            yield (
                f"{_named(outcomes, row)}: {name} is {distances[row]:g} away from the clean clip, the budget is "
                f"{epsilons[row]:g}"
            )
    for row in np.flatnonzero(outcomes.numbers("linf_outside") != 0)[:SHOWN].tolist():
        yield f"{_named(outcomes, row)}: a segment that the threat model spares is changed"


def _numbers(report: TransferReport, outcomes: Outcomes) -> Iterator[str]:
    try:
        expected = summarise(outcomes, config=report.config, facts=report.facts)
    except ValueError as error:  # of a table that does not fit the settings, in whatever way
        yield str(error)
        return
    for path, stated, computed in differences(report.model_dump(), expected.model_dump()):
        yield f"{path}: the report says {stated}, the outcomes give {computed}"


def _untouched(report: TransferReport, outcomes: Outcomes) -> Iterator[str]:
    """A model has the same untouched clips right in every row, be it victim, surrogate or member of an ensemble."""
    surrogates = {each.name: each for each in report.surrogates}
    right: dict[str, np.ndarray] = {}
    cells = list(outcomes.cells())
    for (attack, surrogate, victim), rows in cells:
        is_right = rows.truths("victim_right")
        if (right.setdefault(victim, is_right) != is_right).any():
            yield f"outcomes of {attack} from {surrogate} disagree with others about untouched clips of {victim}"
    for (attack, surrogate, victim), rows in cells:
        members = [right[name] for name in surrogates[surrogate].members if name in right]
        if len(members) < len(surrogates[surrogate].members):
            continue
        expected = reduce(np.logical_and, members)
        if (rows.truths("surrogate_right") != expected).any():
            yield f"outcomes of {attack} from {surrogate} on {victim} disagree with its members' about untouched clips"


def _named(outcomes: Outcomes, row: int) -> str:
    key, attack, surrogate, victim = (
        outcomes.table[name][row].as_py() for name in ("key", "attack", "surrogate", "victim")
    )
    return f"clip '{key}' under {attack} from {surrogate} on {victim}"
