from __future__ import annotations

import numpy as np
import pytest

from evaluation.corruptions.report import CorruptionReport, Reference
from evaluation.corruptions.summary import mean_interval, relative_error, summarise
from evaluation.intervals import Resampling
from preprocessing.errors import DataError
from tests.evaluation.corruptions.hand_made import ERRORS, FACTS, config_of, measured

REFERENCE = Reference(model_sha256="12" * 32, clean_accuracy=0.5, predictions_sha256="34" * 32)


@pytest.fixture(scope="module")
def report() -> CorruptionReport:
    return summarise(measured(ERRORS), reference=None, config=config_of(), facts=FACTS)


def test_accuracy_is_told_by_corruption_and_severity(report: CorruptionReport) -> None:
    found = {(each.name, row.severity): row.accuracy for each in report.of("both") for row in each.severities}
    assert found == pytest.approx({pair: 1.0 - len(wrong) / 10 for pair, wrong in ERRORS.items()})
    assert report.clean_accuracy == pytest.approx(0.9)
    means = {each.name: each.score.accuracy for each in report.of("both")}
    assert means == pytest.approx({"gaussian": 0.9, "rain": 0.7, "synchronous_masking": 0.5})


def test_groups_are_means_of_their_corruptions_and_masking_is_told_beside_them(report: CorruptionReport) -> None:
    """(0.9 + 0.7) / 2 = 0.8 without masking."""
    found = {each.group: each.score.accuracy for each in report.groups_of("both")}
    assert found == pytest.approx({"all": 0.8, "digital": 0.9, "environmental": 0.7, "masking": 0.5})
    assert [each.num_corruptions for each in report.groups_of("both")] == [2, 1, 1, 1]


def test_single_modalities_have_columns_of_their_own(report: CorruptionReport) -> None:
    """Frames alone fool one clip of ten at four of six conditions, the sound alone none."""
    assert report.groups_of("audio")[0].score.accuracy == 1.0
    assert report.groups_of("video")[0].score.accuracy == pytest.approx(1.0 - (0.05 + 0.1) / 2)


def test_intervals_hold_their_numbers_and_those_of_certain_ones_are_exact(report: CorruptionReport) -> None:
    for score in [each.score for each in report.corruptions] + [each.score for each in report.groups]:
        low, high = score.accuracy_interval
        assert low <= score.accuracy <= high
    [gaussian] = [each for each in report.of("audio") if each.name == "gaussian"]
    assert gaussian.score.accuracy_interval == pytest.approx((0.6915, 1.0), abs=1e-4)


def test_the_size_of_a_corruption_is_a_mean_over_the_clips_that_it_changed(report: CorruptionReport) -> None:
    """Nine of ten: 10 severity + 5."""
    found = {(each.name, each.severity): each.psnr_video_db for each in report.strengths}
    assert found["rain", 5] == pytest.approx(55.0)
    assert {each.snr_audio_db for each in report.strengths} == {10.0}


def test_corruption_errors_are_relative_to_the_reference() -> None:
    """Rain errs in 6 of 20, the reference in 8: 0.75. Gaussian in 2 of 20 and 1: 2. Their mean is 1.375."""
    others = ERRORS | {("gaussian", 5): (3,), ("rain", 5): (0, 1, 2, 3, 4, 5, 6)}
    reference = (REFERENCE, measured(others))
    report = summarise(measured(ERRORS), reference=reference, config=config_of(), facts=FACTS)
    found = {each.name: each.score.corruption_error for each in report.of("both")}
    assert found == pytest.approx({"rain": 0.75, "gaussian": 2.0, "synchronous_masking": 1.0})
    overall = report.groups_of("both")[0].score
    assert overall.corruption_error == pytest.approx(1.375)
    assert overall.corruption_error_interval is not None
    low, high = overall.corruption_error_interval
    assert low < 1.375 < high
    assert report.of("audio")[0].score.corruption_error is None  # the reference errs nowhere
    assert report.reference == REFERENCE


def test_a_model_is_as_bad_as_itself() -> None:
    reference = (REFERENCE, measured(ERRORS))
    report = summarise(measured(ERRORS), reference=reference, config=config_of(), facts=FACTS)
    assert report.groups[0].score.corruption_error == pytest.approx(1.0)
    assert report.groups[0].score.corruption_error_interval == pytest.approx((1.0, 1.0))


def test_predictions_of_other_clips_are_refused() -> None:
    lacking = {pair: wrong for pair, wrong in ERRORS.items() if pair != ("rain", 5)}
    with pytest.raises(DataError, match="no predictions under rain at severity 5"):
        summarise(measured(lacking), reference=None, config=config_of(), facts=FACTS)
    others = (REFERENCE, measured(ERRORS, num_clips=9))
    with pytest.raises(DataError, match="cover other clips than the first"):
        summarise(measured(ERRORS), reference=others, config=config_of(), facts=FACTS)


def test_the_interval_of_a_mean_is_the_shares_own_where_clips_are_right_or_wrong() -> None:
    resampling = Resampling.draw(40, num_draws=500, seed=0)
    outcomes = np.arange(40) < 30
    assert mean_interval(outcomes.astype(float), resampling) == resampling.share(outcomes)


def test_nothing_is_relative_to_no_error() -> None:
    resampling = Resampling.draw(4, num_draws=50, seed=0)
    assert relative_error(np.ones((1, 4)), np.zeros((1, 4)), resampling) is None
