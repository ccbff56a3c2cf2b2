"""corruptions.html: one file that needs nothing else, no network and no other file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import yaml

from evaluation.corruptions.pictures import NAMES
from evaluation.corruptions.report import CorruptionReport
from evaluation.reporting.page import render

PAGE_NAME = "corruptions.html"


def corruptions_page(report: CorruptionReport, pictures: Mapping[str, Path]) -> str:
    """The report as HTML with its pictures, PNG files by name, inside."""
    strengths = {(each.name, each.severity): each for each in report.strengths}
    perturbed = report.config.perturbed
    return render(
        "corruptions.html.jinja",
        report=report,
        perturbed=perturbed,
        names=NAMES,
        groups=list(zip(*(report.groups_of(each) for each in perturbed), strict=True)),
        rows=list(zip(*(report.of(each) for each in perturbed), strict=True)),
        strengths=strengths,
        pictures={name: embedded(path) for name, path in pictures.items()},
        settings=yaml.safe_dump(report.config.model_dump(mode="json"), sort_keys=False),
    )


def embedded(path: Path) -> str:
    """A PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
