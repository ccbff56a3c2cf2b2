from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.corruptions.page import corruptions_page, embedded
from evaluation.corruptions.pictures import draw_curves
from evaluation.corruptions.report import CorruptionReport, Reference
from evaluation.corruptions.summary import summarise
from tests.evaluation.corruptions.hand_made import ERRORS, FACTS, config_of, measured


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One picture in place of all."""
    report = summarise(measured(ERRORS), reference=None, config=config_of(), facts=FACTS)
    file = tmp_path_factory.mktemp("pictures") / "curves.png"
    draw_curves(report, file)
    return dict.fromkeys(("curves", "heat_map", "contact_sheet"), file)


def page_of(pictures: dict[str, Path], *, with_reference: bool) -> tuple[str, CorruptionReport]:
    named = Reference(model_sha256="12" * 32, clean_accuracy=0.5, predictions_sha256="34" * 32)
    reference = (named, measured(ERRORS)) if with_reference else None
    report = summarise(measured(ERRORS), reference=reference, config=config_of(data="<data>"), facts=FACTS)
    return corruptions_page(report, pictures), report


def test_a_page_holds_every_number_its_pictures_and_nothing_from_elsewhere(pictures: dict[str, Path]) -> None:
    page, report = page_of(pictures, with_reference=False)
    for score in [each.score for each in report.corruptions] + [each.score for each in report.groups]:
        assert f"{100 * score.accuracy:.1f} %" in page
    assert page.count(embedded(pictures["curves"])) == 3
    assert "http://" not in page
    assert "https://" not in page
    assert "&lt;data&gt;" in page
    assert "corruption error" not in page
    assert "55.0 dB" in page
    assert "Noises are synthesised" in page


def test_a_page_with_a_reference_has_corruption_errors(pictures: dict[str, Path]) -> None:
    page, _ = page_of(pictures, with_reference=True)
    assert "<th>corruption error</th>" in page
    assert "mean corruption error 100.0 %" in page
