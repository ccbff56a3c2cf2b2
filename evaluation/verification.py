"""The re-check of a report against its certificates: every number, distance, hash and count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from evaluation.certificates import CERTIFICATES_NAME, CLIP_COLUMNS, Certificates, file_sha256
from evaluation.measurement import allowed_distance
from evaluation.page import PAGE_NAME
from evaluation.report import REPORT_NAME, Report
from evaluation.summary import summarise
from preprocessing.errors import DataError
from training.batch import MODALITIES
from training.threat import ThreatModel

TOLERANCE = 1e-9
"""Numbers may differ by this much: the order of additions can differ between machines."""


def verify(folder: str | Path) -> list[str]:
    """Re-check an evaluation's folder.

    Returns:
        What is wrong, one sentence each; empty if the report can be believed.
    """
    folder = Path(folder)
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
    ]


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
    clips = first.table.select(CLIP_COLUMNS)
    for pair in pairs[1:]:
        others = certificates.select(*pair).table.select(CLIP_COLUMNS)
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
