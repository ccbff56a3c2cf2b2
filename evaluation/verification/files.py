"""The re-check of a report against its certificates: every number, distance, hash and count."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from evaluation.reporting.page import PAGE_NAME, report_page, without_pictures
from evaluation.reporting.report import REPORT_NAME, Report
from evaluation.reporting.summary import summarise
from evaluation.stored.certificates import CERTIFICATES_NAME, Certificates, file_sha256
from evaluation.stored.changes import allowed_distance
from evaluation.tasks.measurement import NOT_FINITE
from evaluation.verification.replay import Replay, replay
from evaluation.victim import refuse_unnamed
from preprocessing.errors import DataError, SettingsError
from preprocessing.storage.provenance import Provenance, commit, project_version
from training.batch import MODALITIES
from training.threat import ThreatModel

logger = logging.getLogger(__name__)

TOLERANCE = 1e-9
"""Numbers may differ by this much: the order of additions can differ between machines."""


def verify(
    folder: str | Path, *, checkpoint: str | None = None, data: str | None = None, model: str | None = None
) -> list[str]:
    """Re-check an evaluation's folder, and run its model again on the untouched clips and the stored perturbations.

    What cannot be checked, for want of the model or the data, is logged as a warning.

    Args:
        folder: what an evaluation has written.
        checkpoint: where its model is now; unset = where the report says.
        data: where the data set is now on whose clips success was measured; unset = where the report says, if that is
            a folder.
        model: its factory, if it is of another maker: unset = it is not run.

    Returns:
        What is wrong, one sentence each; empty if the report can be believed.
    """
    folder = Path(folder)
    if problems := verify_files(folder):
        return problems
    report, certificates = Report.read(folder), Certificates.read(folder / CERTIFICATES_NAME)
    config = report.config.with_measured_at(data)
    config = config.model_copy(update={"checkpoint": checkpoint} if checkpoint else {})
    try:
        refuse_unnamed(report.config, model=model, data=data)
        found = replay(folder, config, report, certificates)
    except SettingsError as error:
        found = Replay(unchecked=(f"predictions: {error}",))
    for what in (*_unchecked(report), *found.unchecked):
        logger.warning("not checked: %s", what)
    return list(found.problems)


def verify_files(folder: Path) -> list[str]:
    """The problems of an evaluation's files among themselves: numbers, distances, hashes, counts, the page's words."""
    missing = [name for name in (REPORT_NAME, PAGE_NAME, CERTIFICATES_NAME) if not (folder / name).is_file()]
    if missing:
        return [f"'{folder / name}' does not exist" for name in missing]
    try:
        report = Report.read(folder)
        certificates = Certificates.read(folder / CERTIFICATES_NAME)
    except DataError as error:
        return [str(error)]
    return [
        *_hashes(folder, report, certificates),
        *_rows(report, certificates),
        *_budgets(certificates),
        *_limits(certificates),
        *_numbers(report, certificates),
        *_example(report, certificates),
        *_page(folder, report),
    ]


def _unchecked(report: Report) -> Iterator[str]:
    """Parts that a report of its kind does not let anybody check."""
    if not is_of_this_version(report.provenance):
        yield f"{PAGE_NAME}, which another version wrote"
    if report.config.stored_perturbations == 0:
        yield "predictions under attack: no perturbations are stored (stored_perturbations=0)"


def is_of_this_version(made_by: Provenance | None) -> bool:
    """True if this very code made something: then it would make it again, word for word."""
    return made_by is not None and (made_by.version, made_by.commit) == (project_version(), commit())


def _page(folder: Path, report: Report) -> Iterator[str]:
    if is_of_this_version(report.provenance):
        yield from page_problems(folder / PAGE_NAME, report_page(report, {}))


def page_problems(page: Path, expected: str) -> Iterator[str]:
    """The first words in which a stored page differs from what its report gives; pictures are not compared."""
    lines = without_pictures(expected).splitlines()
    found = without_pictures(page.read_text()).splitlines()
    if found != lines:
        pairs = zip_longest(found, lines, fillvalue="nothing")
        stated, computed = next((one, other) for one, other in pairs if one != other)
        yield f"{page.name} says {shortened(stated)}, the report gives {shortened(computed)}"


def shortened(line: str) -> str:
    """A line of a page in quotes, its end left out if it is long."""
    text = line.strip()
    return f"'{text}'" if len(text) <= 120 else f"'{text[:120]}...'"


def _example(report: Report, certificates: Certificates) -> Iterator[str]:
    """The clip that the page shows must be one that the named attack fooled, and be named as its certificate says."""
    if report.example is None:
        return
    example = report.example
    if (example.attack, example.threat) not in certificates.measurements:
        yield f"the clip shown was attacked by {example.attack} under {example.threat}, which has no certificates"
        return
    rows = certificates.select(example.attack, example.threat).table.to_pylist()
    certificate = next((row for row in rows if row["key"] == example.key), None)
    if certificate is None:
        yield f"the clip shown, '{example.key}', has no certificates"
        return
    said = example.class_name, example.mistaken_for
    known = report.class_names[certificate["label"]], class_named(certificate["perturbed_prediction"], report)
    if said != known:
        words = [" taken for ".join(names) for names in (said, known)]
        yield f"the clip shown is said to be {words[0]}, its certificate says {words[1]}"


def class_named(prediction: int | None, report: Report) -> str:
    """A class that a model has named, or the reason why it named none."""
    if prediction is None or prediction < 0:
        return NOT_FINITE
    return report.class_names[prediction]


def _hashes(folder: Path, report: Report, certificates: Certificates) -> Iterator[str]:
    found = file_sha256(folder / CERTIFICATES_NAME)
    if found != report.certificates_sha256:
        yield f"{CERTIFICATES_NAME} has SHA-256 {found}, the report was made from {report.certificates_sha256}"
    others = set(certificates.column("model_sha256").tolist()) - {report.model_sha256}
    if others:
        yield f"certificates name other models than the report's {report.model_sha256}: {', '.join(sorted(others))}"


def _rows(report: Report, certificates: Certificates) -> Iterator[str]:
    """Every measurement must cover the same clips, once each, and agree on what they are."""
    pairs = certificates.measurements
    if not pairs:
        yield f"{CERTIFICATES_NAME} has no rows"
        return
    first = certificates.select(*pairs[0])
    keys = first.table["key"].to_pylist()
    if len(keys) != report.num_clips:
        yield f"{len(keys)} clips have certificates of {' under '.join(pairs[0])}, the report counts {report.num_clips}"
    if len(set(keys)) < len(keys):
        yield f"clips appear more than once under {' under '.join(pairs[0])}"
    clips = first.clips
    for pair in pairs[1:]:
        others = certificates.select(*pair).clips
        if others["key"].to_pylist() != keys:
            yield f"certificates of {' under '.join(pair)} cover other clips than those of {' under '.join(pairs[0])}"
        elif not others.equals(clips):
            yield f"certificates of {' under '.join(pair)} disagree with the first ones about the untouched clips"


def _budgets(certificates: Certificates) -> Iterator[str]:
    """No clip may lie farther from its clean version than its threat model allows."""
    for name in ("video", "audio"):
        epsilons = certificates.numbers(f"epsilon_{name}")
        distances = certificates.numbers(f"distance_{name}")
        allowed = np.array([allowed_distance(epsilon) for epsilon in epsilons])
        for row in np.flatnonzero(~(distances <= allowed))[:5]:
            key, attack = certificates.column("key")[row], certificates.column("attack")[row]
            yield (
                f"clip '{key}' under {attack}: {name} is {distances[row]:g} away from the clean clip, "
                f"the budget is {epsilons[row]:g}"
            )


def _limits(certificates: Certificates) -> Iterator[str]:
    """No value may have moved farther than its box is wide, and none at all in a segment that the threat spares."""
    for attack, text in certificates.measurements:
        rows = certificates.select(attack, text)
        keys = rows.column("key")
        outside = rows.numbers("linf_outside")
        for row in np.flatnonzero(outside != 0)[:5]:
            yield f"clip '{keys[row]}' under {attack}: a segment that {text} spares is changed by {outside[row]:g}"
        try:
            threat = ThreatModel.model_validate(text)
        except ValidationError:
            yield f"'{text}', under which {attack} has certificates, is no threat model"
            continue
        for name in MODALITIES:
            low, high = threat.box(name)
            changes = rows.numbers(f"linf_{name}")
            for row in np.flatnonzero(~(changes <= allowed_distance(high - low)))[:5]:
                yield (
                    f"clip '{keys[row]}' under {attack}: {name} is changed by {changes[row]:g}, although it lies in "
                    f"[{low:g}, {high:g}]"
                )


def _numbers(report: Report, certificates: Certificates) -> Iterator[str]:
    try:
        expected = summarise(certificates, config=report.config, facts=report.facts)
    except ValueError as error:  # of tables that do not fit together, in whatever way
        yield str(error)
        return
    for path, stated, computed in differences(report.model_dump(), expected.model_dump()):
        yield f"{path}: the report says {stated}, the certificates give {computed}"


def differences(stated: Any, computed: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The places where two nested values differ, numbers by more than `TOLERANCE`: (path, first, second)."""
    if isinstance(stated, dict) and isinstance(computed, dict):
        for name in stated.keys() | computed.keys():
            yield from differences(stated.get(name), computed.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(stated, list | tuple) and isinstance(computed, list | tuple) and len(stated) == len(computed):
        for position, (one, other) in enumerate(zip(stated, computed, strict=True)):
            yield from differences(one, other, f"{path}[{position}]")
    elif isinstance(stated, float | int) and isinstance(computed, float | int):
        if abs(stated - computed) > TOLERANCE:
            yield path, stated, computed
    elif stated != computed:
        yield path, stated, computed
