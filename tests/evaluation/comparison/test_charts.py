"""Charts of a comparison: well-formed, in two looks, whatever the names."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from xml.etree import ElementTree

from evaluation.comparison.charts import accuracy_chart, curve_chart, difference_chart, has_worst_cases, name_of
from evaluation.comparison.crossed import Draws
from evaluation.comparison.evaluations import read_methods
from evaluation.comparison.page import comparison_page
from evaluation.comparison.result import Comparison
from evaluation.comparison.summary import summarise
from evaluation.config import EvaluateConfig
from evaluation.reporting.chart import Chart
from evaluation.reporting.picture_style import DARK
from tests.evaluation.comparison.conftest import AWKWARD, Evaluated, first
from training.attacks import FGSM


def svg(uri: str) -> str:
    kind, _, data = uri.partition(",")
    assert kind == "data:image/svg+xml;base64"
    text = base64.b64decode(data).decode()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    return text


def colours(text: str) -> set[str]:
    return set(re.findall(r"#[0-9a-f]{6}\b", text))


def check(chart: Chart) -> None:
    light, dark = svg(chart.light), svg(chart.dark)
    assert colours(light) <= DARK.keys() | {"#000000"}, "a colour without one for dark paper"
    assert not colours(dark) & DARK.keys() - set(DARK.values())
    assert len(light.splitlines()) == len(dark.splitlines())


def test_charts_have_a_dark_look_and_bear_awkward_names(awkward: Comparison) -> None:
    check(accuracy_chart(awkward))
    check(difference_chart(awkward))


def test_a_withheld_method_is_marked(awkward: Comparison) -> None:
    assert name_of("x", awkward.methods[AWKWARD[2]]) == "x (withheld)"
    assert name_of("x", awkward.methods[AWKWARD[0]]) == "x"


def test_curves_are_of_the_points_that_all_have(
    standard: Path, several: tuple[Path, ...], evaluated: Evaluated, config: EvaluateConfig
) -> None:
    draws = Draws.draw(20, num_draws=50, seed=0)
    methods = read_methods({"a": (standard,), "b": several})
    chart = curve_chart(summarise(methods, num_draws=50, seed=0), methods, draws)
    assert chart is not None
    check(chart)
    assert has_worst_cases([report for method in methods for report in method.reports])
    for change in ({"curve": (2.0,)}, {"reference_attack": FGSM()}):
        other = EvaluateConfig.model_validate(config.model_dump() | change)
        methods = read_methods({"a": (standard,), "b": (evaluated(clean=first(9), attacked=first(2), config=other),)})
        assert curve_chart(summarise(methods, num_draws=50, seed=0), methods, draws) is None


def test_curves_with_other_attacks_behind_them_are_those_of_the_reference_attack(
    standard: Path, evaluated: Evaluated, config: EvaluateConfig
) -> None:
    other = EvaluateConfig.model_validate(config.model_dump() | {"curve_attacks": [{"name": "fgsm"}]})
    folder = evaluated(clean=first(18), attacked=first(9), config=other)
    methods = read_methods({"a": (standard,), "b": (folder,)})
    assert not has_worst_cases([report for method in methods for report in method.reports])
    comparison, draws = summarise(methods, num_draws=50, seed=0), Draws.draw(20, num_draws=50, seed=0)
    assert curve_chart(comparison, methods, draws) is not None
    page = comparison_page(comparison, methods, num_draws=50, seed=0)
    assert "<figcaption>pgd-5 with the budgets of" in page
    both = read_methods({"a": (standard,), "b": (evaluated(clean=first(18), attacked=first(9)),)})
    page = comparison_page(summarise(both, num_draws=50, seed=0), both, num_draws=50, seed=0)
    assert "<figcaption>The worst case of 3 attacks with the budgets of" in page
