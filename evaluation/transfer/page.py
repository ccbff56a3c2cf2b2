"""transfer.html: one file that needs nothing else, no network and no other file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import yaml

from evaluation.comparison.wording import points, points_range
from evaluation.reporting.chart import Chart
from evaluation.reporting.page import render, threat_sentence
from evaluation.transfer.pictures import heat_map, means_chart
from evaluation.transfer.report import TransferReport
from evaluation.transfer.tables import GROUP_NAMES, costs, rows_of

PAGE_NAME = "transfer.html"
MEANS = "means of all attacks"
"""Name of the chart of all attacks; the others have the names of theirs."""
_NO_CHART = Chart("data:,", "data:,")


def transfer_page(report: TransferReport, charts: Mapping[str, Chart]) -> str:
    """The report as HTML with its charts inside: `charts_of(report)`, or none to see the words alone."""
    return render(
        "transfer.html.jinja",
        report=report,
        charts=defaultdict(lambda: _NO_CHART, charts),
        means=MEANS,
        group_names=GROUP_NAMES,
        rows={attack: rows_of(report, attack) for attack in report.attacks},
        costs=costs(report),
        unequal=tuple(report.unequal()),
        points=points,
        points_range=points_range,
        threat_sentence=threat_sentence(report.config.threat),
        settings=yaml.safe_dump(report.config.model_dump(mode="json"), sort_keys=False),
    )


def charts_of(report: TransferReport) -> dict[str, Chart]:
    """All charts of a report's page by name."""
    maps = {attack: heat_map(report, attack) for attack in report.attacks}
    means = means_chart(report)
    return maps if means is None else {MEANS: means, **maps}
