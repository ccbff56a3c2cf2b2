from __future__ import annotations

import base64
from xml.etree import ElementTree

import pytest

from evaluation.transfer.pictures import DARK, LIGHT, heat_map, means_chart
from tests.evaluation.transfer.hand_made import config_of, report_of


def svg(uri: str) -> str:
    text = base64.b64decode(uri.partition(",")[2]).decode()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    return text


def test_a_heat_map_paints_every_cell_by_its_rate() -> None:
    """On A itself mifgsm fools all, on B a third, on C a quarter; elsewhere nothing."""
    chart = heat_map(report_of(config_of(ensembles=["leave_one_out"])), "mifgsm")
    light, dark = svg(chart.light), svg(chart.dark)
    for share in (1.0, 1 / 3, 0.25, 0.0):
        assert LIGHT.of(share) in light
        assert DARK.of(share) in dark
    assert LIGHT.of(1.0) not in dark


@pytest.mark.parametrize(("share", "colour"), [(0.0, "#f3f0ec"), (1.0, "#b0342a"), (0.5, "#d2928b")])
def test_colours_are_mixed_evenly(share: float, colour: str) -> None:
    assert LIGHT.of(share) == colour


def test_a_chart_of_means_has_a_panel_per_kind() -> None:
    one = means_chart(report_of(config_of()))
    two = means_chart(report_of(config_of(ensembles=["leave_one_out", ["A", "B"]])))
    assert one is not None
    assert two is not None
    assert svg(one.light).count('id="axes_') == 2
    assert svg(two.light).count('id="axes_') == 4


def test_names_of_any_length_and_spelling_are_drawn() -> None:
    names = {"a_very_long_name_of_a_model.v2": "a", "_b": "b"}
    config = config_of(models=names)
    report = report_of(config_of())
    renamed = report.model_copy(update={"config": config})
    svg(heat_map(renamed, "mifgsm").light)
