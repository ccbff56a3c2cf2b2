"""comparison.html: one file that needs nothing else, no network and no other file."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.comparison.charts import accuracy_chart, curve_chart, difference_chart, has_worst_cases
from evaluation.comparison.crossed import Draws
from evaluation.comparison.evaluations import WORST_CASE, Method
from evaluation.comparison.result import Comparison
from evaluation.comparison.tables import differences
from evaluation.comparison.wording import notes
from evaluation.reporting.page import num_attacks, render, threat_sentence
from evaluation.reporting.report import Report


def comparison_page(comparison: Comparison, methods: Sequence[Method], *, num_draws: int, seed: int) -> str:
    """The comparison as HTML with its pictures inside.

    Args:
        comparison: what was found.
        methods: the evaluations that it was found in.
        num_draws: bootstrap draws behind each interval.
        seed: of the bootstrap.
    """
    report = methods[0].reports[0]
    draws = Draws.draw(report.num_clips, num_draws=num_draws, seed=seed)
    return render(
        "comparison.html.jinja",
        comparison=comparison,
        reports={method.name: method.reports for method in methods},
        first=report,
        worst_case=WORST_CASE,
        notes=notes(comparison),
        pairs=tuple(comparison.pairs()),
        differences=differences(comparison),
        accuracy_chart=accuracy_chart(comparison),
        difference_chart=difference_chart(comparison),
        curve_chart=curve_chart(comparison, methods, draws),
        curve_attack=curve_attack([each for method in methods for each in method.reports]),
        threat_sentence=threat_sentence(report.config.threat),
        num_draws=num_draws,
        seed=seed,
    )


def curve_attack(reports: Sequence[Report]) -> str:
    """The attacks behind the curves, in words."""
    if not has_worst_cases(reports):
        return reports[0].curve[0].name
    return f"The worst case of {num_attacks(max((point.worst_case_of for point in reports[0].curve), key=len))}"
