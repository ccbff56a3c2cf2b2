from __future__ import annotations

import pytest

from evaluation.transfer.page import charts_of, transfer_page
from evaluation.transfer.report import TransferReport
from tests.evaluation.transfer.hand_made import config_of, report_of


@pytest.fixture(scope="module")
def report() -> TransferReport:
    return report_of(config_of(ensembles=["leave_one_out"], budget=61), left_out=[("tma", "C")])


def test_a_page_holds_every_number_its_charts_and_nothing_from_elsewhere(report: TransferReport) -> None:
    charts = charts_of(report)
    page = transfer_page(report, charts)
    for cell in report.cells:
        assert f"{100 * (cell.success_rate or 0.0):.1f} %" in page
        assert f"{cell.num_fooled} of {cell.num_clips}" in page
    for chart in charts.values():
        assert page.count(chart.light) == 1
        assert page.count(chart.dark) == 1
    assert "http://" not in page
    assert "https://" not in page
    assert "dataset &lt;1&gt;" in page


def test_a_page_says_what_was_left_out_and_what_did_not_spend_its_budget(report: TransferReport) -> None:
    page = transfer_page(report, {})
    assert "<li>tma on C: no features</li>" in page
    assert "These take fewer passes than the budget" in page
    assert "These take fewer" not in transfer_page(report_of(config_of()), {})


def test_a_page_says_that_listed_steps_do_not_cost_the_same() -> None:
    config = config_of(budget=None)
    assert "so they do not cost the same" in transfer_page(report_of(config), {})
