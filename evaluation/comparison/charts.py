"""The charts of a comparison's page, each in the colours of light and of dark paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evaluation.attack_lists import attack_label
from evaluation.comparison.crossed import Draws
from evaluation.comparison.evaluations import Method
from evaluation.comparison.result import ComparedMethod, Comparison
from evaluation.planning.plan import attempts_of
from evaluation.reporting.chart import Chart
from evaluation.reporting.pictures import Bar, compared_bars, compared_curves, compared_differences
from evaluation.reporting.report import Report
from evaluation.reporting.results import CurvePoint


def accuracy_chart(comparison: Comparison) -> Chart:
    """Accuracy of every method by every measure, with intervals."""
    bars = {name_of(name, method): _bars(comparison, method) for name, method in comparison.methods.items()}
    return Chart.of(compared_bars(comparison.measures, bars))


def difference_chart(comparison: Comparison) -> Chart:
    """Differences of every pair by every measure, with intervals; ties are faint."""
    pairs = {}
    for pair in comparison.pairs():
        found = {each.measure: Bar(each.difference, each.interval, each.is_tie) for each in pair.differences}
        pairs[f"{pair.later} - {pair.earlier}"] = [found.get(measure) for measure in comparison.measures]
    return Chart.of(compared_differences(comparison.measures, pairs))


def curve_chart(comparison: Comparison, methods: Sequence[Method], draws: Draws) -> Chart | None:
    """Robust accuracy over epsilon; None if the evaluations have no points or no reference attack in common.

    In the worst case where the same attacks are behind every curve, else under the reference attack.
    """
    reports = [report for method in methods for report in method.reports]
    factors = set.intersection(*({point.factor for point in report.curve} for report in reports))
    if not factors or any(report.config.reference_attack != reports[0].config.reference_attack for report in reports):
        return None
    compared, is_worst = comparison.methods, has_worst_cases(reports)
    curves = {
        name_of(method.name, compared[method.name]): _curve(method, sorted(factors), draws, is_worst=is_worst)
        for method in methods
    }
    chance = max(row.num_clips for row in reports[0].classes) / reports[0].num_clips
    return Chart.of(compared_curves(curves, chance=chance))


def has_worst_cases(reports: Sequence[Report]) -> bool:
    """True if their curves are worst cases of the same attacks; before format version 5 one attack was behind each."""
    attempts = [[each.pair for each in attempts_of(report.config)] for report in reports]
    is_more_than_one = all(any(len(point.worst_case_of) > 1 for point in report.curve) for report in reports)
    return is_more_than_one and all(each == attempts[0] for each in attempts)


def name_of(name: str, method: ComparedMethod) -> str:
    """A method's name, marked if its numbers are upper bounds alone."""
    return f"{name} (withheld)" if method.withheld else name


def _bars(comparison: Comparison, method: ComparedMethod) -> list[Bar | None]:
    found = map(method.estimate, comparison.measures)
    return [Bar(each.value, each.interval) if each else None for each in found]


def _curve(method: Method, factors: Sequence[float], draws: Draws, *, is_worst: bool) -> list[CurvePoint]:
    """The curve of a method: the mean over its trainings."""
    report = method.reports[0]
    attack = attack_label(report.config.reference_attack)
    points: Mapping[float, CurvePoint] = {point.factor: point for point in report.curve}
    found = []
    for factor in factors:
        threat = report.config.threat.scaled(factor)
        outcomes = method.worst_outcomes_under(threat) if is_worst else method.outcomes_under(attack, threat)
        share = draws.share(outcomes)
        changes = {"worst_case_robust_accuracy": share.value, "worst_case_robust_accuracy_interval": share.interval}
        found.append(points[factor].model_copy(update=changes))
    return found
