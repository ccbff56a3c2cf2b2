from __future__ import annotations

import base64
from xml.etree import ElementTree

from evaluation.perceptibility.charts import TITLES, distribution_chart, measures_of, survival_chart
from evaluation.perceptibility.rows import MEASURES, Rows
from tests.evaluation.perceptibility.hand_made import ROWS, report_of, row


def svg(uri: str) -> str:
    kind, _, data = uri.partition(",")
    assert kind == "data:image/svg+xml;base64"
    text = base64.b64decode(data).decode()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    return text


def test_every_measure_has_words_and_those_that_no_clip_has_are_left_out() -> None:
    assert TITLES.keys() == set(MEASURES)
    assert measures_of(report_of()) == MEASURES
    rows = Rows.from_rows([row(0, wrong="perturbed", ssim_video=None, psnr_video_db=None, snr_audio_db=None)])
    assert measures_of(report_of(rows)) == ("lsd_audio_db",)


def test_charts_are_drawn_in_two_looks_and_the_same_each_time() -> None:
    report = report_of()
    chart = distribution_chart(report, ROWS)
    assert svg(chart.light) != svg(chart.dark)
    assert distribution_chart(report, ROWS) == chart
    survival = survival_chart(report)
    assert survival is not None
    assert svg(survival.light) != svg(survival.dark)
    more = distribution_chart(
        report_of(Rows.from_rows([row(0, ssim_video=0.1)])), Rows.from_rows([row(0, ssim_video=0.1)])
    )
    assert more != chart


def test_awkward_names_are_drawn() -> None:
    rows = Rows.from_rows([row(0, "_a$b_" * 20, wrong="perturbed"), row(0, "<b>&", wrong="perturbed")])
    report = report_of(rows, storage_titles={"jpeg_75": "$x_{", "aac_64": "<AAC>"})
    svg(distribution_chart(report, rows).light)
    survival = survival_chart(report)
    assert survival is not None
    svg(survival.light)


def test_nothing_is_drawn_of_survival_where_nothing_fooled() -> None:
    assert survival_chart(report_of(Rows.from_rows([row(0), row(1)]))) is None
