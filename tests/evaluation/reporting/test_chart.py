from __future__ import annotations

import base64

from matplotlib.figure import Figure

from evaluation.reporting.chart import Chart, svg
from evaluation.reporting.picture_style import DARK, INK


def text_of(uri: str) -> str:
    kind, _, data = uri.partition(",")
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(data).decode()


def draw(figure: Figure) -> None:
    figure.subplots().plot([0, 1], [0, 1], color=INK)


def test_a_chart_is_the_same_drawing_in_two_looks() -> None:
    chart = Chart.of(svg(draw, width=2.0, height=1.0))
    assert f"stroke: {INK}" in text_of(chart.light)
    assert f"stroke: {DARK[INK]}" in text_of(chart.dark)
    assert len(text_of(chart.light)) == len(text_of(chart.dark))


def test_the_same_drawing_is_the_same_text() -> None:
    assert svg(draw, width=2.0, height=1.0) == svg(draw, width=2.0, height=1.0)
