"""The two tables of a comparison: for the console, as Markdown, as LaTeX and as CSV."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from evaluation.comparison.crossed import Estimate
from evaluation.comparison.result import Comparison
from evaluation.comparison.wording import notes, p_text, points, points_range
from evaluation.reporting.grid import Grid, csv_of, escape_markdown, in_full, latex_of, one_line
from evaluation.reporting.report import percents

WITHHELD = "withheld"


def accuracies(comparison: Comparison) -> Grid:
    """One row per measure, one column per method."""
    first = comparison.first
    rows = [
        (measure, *(_share(method.estimate(measure)) for method in comparison.methods.values()))
        for measure in comparison.measures
    ]
    rows.append(("rank in the worst case", *(str(each.rank or "not ranked") for each in comparison.methods.values())))
    title = f"Accuracy in % with 95 % intervals on {first.num_clips} clips ({first.split}), threat model {first.threat}"
    return Grid(title, ("", *comparison.methods), tuple(rows))


def differences(comparison: Comparison) -> Grid:
    """One row per comparison that was made."""
    rows = [
        (
            f"{pair.later} - {pair.earlier}",
            each.measure,
            points(each.difference),
            points_range(each.interval),
            p_text(each.p_value),
            p_text(each.corrected_p_value),
            "tie" if each.is_tie else f"{pair.later if each.difference > 0 else pair.earlier} is better",
        )
        for pair in comparison.pairs()
        for each in pair.differences
    ]
    title = f"Differences in percentage points, {comparison.num_comparisons} comparisons, corrected after Holm"
    headings = ("methods", "measure", "difference", "95 % interval", "p", "corrected p", "finding")
    return Grid(title, headings, tuple(rows), words=(0, 1, len(headings) - 1))


def sentences(comparison: Comparison) -> list[str]:
    """The finding of every pair by its last and most important measure, doubts, withheld numbers, and notes."""
    found = [
        f"{name}: its worst case is withheld and not ranked: {'; '.join(each.withheld)}"
        for name, each in comparison.methods.items()
        if each.withheld
    ]
    for pair in comparison.pairs():
        found += [pair.differences[-1].verdict, *([pair.doubt] if pair.doubt else [])]
    return [*notes(comparison), *found]


def print_tables(comparison: Comparison) -> None:
    """Print both tables and what follows from them."""
    console = Console()
    for grid in (accuracies(comparison), differences(comparison)):
        console.print(grid.rich())
    for sentence in sentences(comparison):
        console.print(Text(f"* {one_line(sentence)}"))


def markdown(comparison: Comparison) -> str:
    """Both tables and the sentences as Markdown."""
    parts = [grid.markdown() for grid in (accuracies(comparison), differences(comparison))]
    listed = "\n".join(f"* {escape_markdown(sentence)}" for sentence in sentences(comparison))
    return "\n\n".join([*parts, listed]) + "\n"


def latex(comparison: Comparison) -> str:
    """Both tables for LaTeX with the package booktabs."""
    return latex_of([accuracies(comparison), differences(comparison)])


def accuracies_csv(comparison: Comparison) -> str:
    """One line per method and measure, with numbers in full; a withheld number is empty."""
    lines = [["method", "measure", "accuracy", "low", "high", "deviation", "trainings", "clips", "threat"]]
    for name, method in comparison.methods.items():
        for measure in comparison.measures:
            found = method.estimate(measure)
            numbers = [found.value, *found.interval, found.deviation] if found else [None] * 4
            known = [len(method.trainings), method.num_clips, method.threat]
            lines.append([name, measure, *map(in_full, numbers), *map(str, known)])
    return csv_of(lines)


def differences_csv(comparison: Comparison) -> str:
    """One line per comparison that was made, with numbers in full."""
    lines = [["method", "over", "measure", "difference", "low", "high", "wins", "losses", "p", "corrected_p", "is_tie"]]
    for pair in comparison.pairs():
        for each in pair.differences:
            numbers = [each.difference, *each.interval, each.wins, each.losses, each.p_value, each.corrected_p_value]
            lines.append([pair.later, pair.earlier, each.measure, *map(in_full, numbers), str(each.is_tie).lower()])
    return csv_of(lines)


def _share(found: Estimate | None) -> str:
    """`86.5 (81.0 to 91.0), sd 1.2`: percent, interval, deviation between trainings."""
    if found is None:
        return WITHHELD
    spread = "" if found.deviation is None else f", sd {100 * found.deviation:.1f}"
    return f"{100 * found.value:.1f} ({percents(found.interval)}){spread}"
