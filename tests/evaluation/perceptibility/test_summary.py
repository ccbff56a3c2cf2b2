"""The numbers of a report against ones that are worked out by hand or by the draws themselves."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.intervals import Resampling, exact_interval
from evaluation.perceptibility.rows import Rows
from evaluation.perceptibility.summary import statistic
from preprocessing.errors import DataError
from tests.evaluation.perceptibility.hand_made import CONFIG, ROWS, report_of, row


def test_clean_accuracy_is_of_all_clips_once() -> None:
    """Clip 3 of five is wrong untouched; JPEG takes clip 0 as well and mends clip 3, AAC changes nothing."""
    report = report_of()
    assert report.num_clips == 5
    assert report.clean_accuracy == 0.8
    assert {each.name: each.clean_accuracy for each in report.storages} == {"jpeg_75": 0.8, "aac_64": 0.8}


def test_survival_is_of_the_clips_that_were_right_and_then_fooled() -> None:
    """pgd fools 0, 1, 2; after JPEG clip 0 alone is wrong, after AAC all three. fgsm fools clip 0, and no file does."""
    pgd, fgsm = report_of().attacks
    assert (pgd.num_clips, pgd.num_fooled, fgsm.num_clips, fgsm.num_fooled) == (5, 3, 2, 1)
    jpeg, aac = pgd.storages
    assert jpeg.still_fooled == pytest.approx(1 / 3)
    assert aac.still_fooled == 1.0
    assert aac.still_fooled_interval == exact_interval(3, 3)
    assert [each.still_fooled for each in fgsm.storages] == [0.0, 0.0]
    assert fgsm.storages[0].still_fooled_interval == exact_interval(0, 1)


def test_nothing_survives_where_nothing_fooled() -> None:
    [attack] = report_of(Rows.from_rows([row(0), row(1, wrong="clean perturbed jpeg aac")])).attacks
    assert attack.num_fooled == 0
    assert [(each.still_fooled, each.still_fooled_interval) for each in attack.storages] == [(None, None)] * 2


def test_distributions_are_over_the_clips_that_changed() -> None:
    """SSIM of pgd: 0.5, 0.6, 0.7, 0.8; the fifth clip's frames did not change. The second is half of four."""
    pgd, fgsm = report_of().attacks
    assert pgd.ssim_video is not None
    assert pgd.ssim_video.num_clips == 4
    found = [getattr(pgd.ssim_video, name).value for name in ("mean", "percentile_5", "percentile_50", "percentile_95")]
    assert found == pytest.approx([0.65, 0.5, 0.6, 0.8])
    assert fgsm.snr_audio_db is not None
    assert (fgsm.snr_audio_db.num_clips, fgsm.snr_audio_db.mean.interval) == (1, None)


def test_a_measure_that_no_clip_has_is_left_out() -> None:
    rows = Rows.from_rows([row(0, ssim_video=None, psnr_video_db=None), row(1, ssim_video=None, psnr_video_db=None)])
    [attack] = report_of(rows).attacks
    assert attack.ssim_video is attack.psnr_video_db is None
    assert attack.lsd_audio_db is not None


def test_intervals_are_the_middle_of_the_draws() -> None:
    """Each draw repeated by hand: the values of the drawn clips, their mean and their inverted distribution."""
    pgd = report_of().attacks[0]
    weights = Resampling.draw(5, num_draws=CONFIG.num_resamples, seed=CONFIG.seed).weights.astype(int)
    values = np.array([0.5, 0.7, 0.6, 0.8])
    drawn = [np.repeat(values, counts[:4]) for counts in weights if counts[:4].any()]
    assert pgd.ssim_video is not None
    means = np.percentile([each.mean() for each in drawn], [2.5, 97.5])
    assert pgd.ssim_video.mean.interval == pytest.approx(tuple(means))
    for share, estimate in ((5, pgd.ssim_video.percentile_5), (95, pgd.ssim_video.percentile_95)):
        expected = np.percentile([np.percentile(each, share, method="inverted_cdf") for each in drawn], [2.5, 97.5])
        assert estimate.interval == pytest.approx(tuple(expected))


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("num_values", [1, 2, 19, 20, 21, 100])
def test_percentiles_are_those_of_numpy(num_values: int, share: float) -> None:
    values = np.sort(np.random.default_rng(num_values).random(num_values))
    [found] = statistic(values, np.ones((1, num_values)), share)
    assert found == np.percentile(values, 100 * share, method="inverted_cdf")


def test_rows_that_lack_something_are_refused() -> None:
    with pytest.raises(DataError, match="there are no rows"):
        report_of(Rows(ROWS.table.slice(0, 0)))
    with pytest.raises(DataError, match="has no class after the storage 'h264'"):
        report_of(storage_titles={"h264": "H.264"})
