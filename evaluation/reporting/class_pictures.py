"""The accuracy of each class as a picture that stays readable with many classes."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from evaluation.reporting.chart import svg
from evaluation.reporting.picture_style import (
    CLEAN,
    MUTED,
    SMALL,
    WIDTH,
    WORST,
    dot_with_interval,
    label,
    named_rows,
)
from evaluation.reporting.pictures import share_axis
from evaluation.reporting.results import ClassResult

MOST_ROWS = 32
"""Classes in a picture, as many as fit on a printed page; of more the first and the last half of it are shown."""
OFFSET = 0.16
"""Distance of a class's two dots from the middle of its row."""


def by_robustness(classes: Sequence[ClassResult]) -> list[ClassResult]:
    """The most robust class first."""
    return sorted(classes, key=lambda row: (-row.worst_case_robust_accuracy, -row.clean_accuracy, row.name))


def class_intervals(classes: Sequence[ClassResult]) -> str:
    """Accuracy of each class untouched and in the worst case, with intervals, the most robust class first."""
    ordered = by_robustness(classes)
    num_between = max(0, len(ordered) - MOST_ROWS)
    half = MOST_ROWS // 2
    first, last = (ordered[:half], ordered[-half:]) if num_between else (ordered, [])
    places = [*range(len(first)), *range(len(first) + 1, len(first) + 1 + len(last))]
    names = [f"{label(row.name)}  ({row.num_clips})" for row in (*first, *last)]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, row in zip(places, (*first, *last), strict=True):
            clean, worst = row.clean_accuracy, row.worst_case_robust_accuracy
            dot_with_interval(axes, clean, row.clean_accuracy_interval, place - OFFSET, colour=CLEAN)
            dot_with_interval(axes, worst, row.worst_case_robust_accuracy_interval, place + OFFSET, colour=WORST)
        if num_between:
            words = f"{num_between} classes between: see the table"
            axes.text(0.5, len(first), words, ha="center", va="center", fontsize=SMALL, color=MUTED)
        for name, colour in (("no attack", CLEAN), ("worst case", WORST)):
            axes.plot([], [], "o-", color=colour, linewidth=2, markersize=5, label=name)
        named_rows(axes, names, places)
        axes.set_ylim(places[-1] + 0.7, -0.7)
        share_axis(axes, "x", "accuracy with 95 % intervals (number of clips in brackets)", maximum=1.03)
        axes.set_xlim(left=-0.02)  # a dot at 0 is shown whole
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    return svg(draw, width=WIDTH, height=1.1 + 0.28 * (places[-1] + 1))
