"""The picture of classes: intervals, an order, and a height that many classes do not burst."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import pytest

from evaluation.reporting.class_pictures import MOST_ROWS, by_robustness, class_intervals
from evaluation.reporting.picture_style import CLEAN, WORST
from evaluation.reporting.results import ClassResult


def classes(number: int) -> list[ClassResult]:
    """So many, each less robust than the one before; names are markup elsewhere."""
    return [
        ClassResult(
            name=f"_singing $ & <{each}>",
            num_clips=9,
            clean_accuracy=0.9,
            clean_accuracy_interval=(0.6, 1.0),
            worst_case_robust_accuracy=0.8 - 0.8 * each / number,
            worst_case_robust_accuracy_interval=(0.0, 0.85),
        )
        for each in range(number)
    ]


def svg(number: int) -> str:
    kind, _, data = class_intervals(classes(number)).partition(",")
    assert kind == "data:image/svg+xml;base64"
    text = base64.b64decode(data).decode()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    return text


@pytest.mark.parametrize(("number", "shown"), [(1, 1), (MOST_ROWS, MOST_ROWS), (400, MOST_ROWS)])
def test_every_shown_class_has_two_intervals(number: int, shown: int) -> None:
    """A line and a dot each, and one of each colour in the legend."""
    text = svg(number)
    for colour in (CLEAN, WORST):
        assert len(re.findall(rf"stroke: {colour}; stroke-width: 2", text)) == shown + 1


def test_many_classes_are_no_higher_than_a_printed_page() -> None:
    """A4 less its margins is about 10.5 inches high, at 72 points each."""
    (height,) = re.findall(r'<svg[^>]* height="([0-9.]+)pt"', svg(400))
    assert float(height) < 10.5 * 72


def test_the_most_robust_class_comes_first() -> None:
    found = by_robustness(list(reversed(classes(5))))
    assert [row.worst_case_robust_accuracy for row in found] == pytest.approx([0.8, 0.64, 0.48, 0.32, 0.16])
