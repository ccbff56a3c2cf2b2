from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.perceptibility import movies
from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.perceptibility.page import PAGE_NAME
from evaluation.perceptibility.report import PERCEPTIBILITY_NAME, PerceptibilityReport
from evaluation.perceptibility.rows import ROWS_NAME
from evaluation.perceptibility.run import measure
from evaluation.perceptibility.storages import SOUND_NOT_STORED
from evaluation.reporting.report import Report
from preprocessing.errors import PlaceError, ResourceError


def test_a_look_writes_report_page_rows_and_clips(waveform_look: Path, waveform_evaluation: Path) -> None:
    names = {path.name for path in waveform_look.iterdir()}
    assert names == {PERCEPTIBILITY_NAME, PAGE_NAME, ROWS_NAME, "clips"}
    report, evaluated = PerceptibilityReport.read(waveform_look), Report.read(waveform_evaluation)
    assert report.num_clips == 6
    assert [attack.name for attack in report.attacks] == ["fgsm", "pgd-4"]
    assert report.facts.model_sha256 == evaluated.model_sha256
    assert report.facts.evaluation_sha256 == evaluated.certificates_sha256
    assert report.facts.not_applicable == ()
    assert len(report.facts.exports) == 2
    page = (waveform_look / PAGE_NAME).read_text()
    assert page.count("data:image/png") == 2
    for clip in report.facts.exports:
        for file in clip.files:
            assert f'href="{file}"' in page
            assert (waveform_look / file).is_file()


def test_what_cannot_be_stored_is_said(logmel_look: Path) -> None:
    report = PerceptibilityReport.read(logmel_look)
    assert report.facts.not_applicable == (SOUND_NOT_STORED,)
    assert all(attack.snr_audio_db is None for attack in report.attacks)
    assert all(attack.lsd_audio_db is not None for attack in report.attacks)
    assert "there is no adversarial sound" in (logmel_look / PAGE_NAME).read_text()


def test_some_clips_are_fooled_and_a_file_leaves_fewer_or_more(waveform_look: Path) -> None:
    """The budget is large: rounding to 8 and 16 bit undoes none of it."""
    report = PerceptibilityReport.read(waveform_look)
    attack = report.attacks[1]
    assert attack.num_fooled > 0
    survival = {each.storage: each.still_fooled for each in attack.storages}
    assert survival["lossless"] == 1.0
    assert all(share is not None and 0 <= share <= 1 for share in survival.values())


def test_a_second_look_gives_the_same_rows(waveform_evaluation: Path, waveform_look: Path, tmp_path: Path) -> None:
    config = PerceptibilityConfig(evaluation=str(waveform_evaluation), output=str(tmp_path), clips=1, num_resamples=200)
    again, first = measure(config), PerceptibilityReport.read(waveform_look)
    assert (tmp_path / ROWS_NAME).read_bytes() == (waveform_look / ROWS_NAME).read_bytes()
    assert (again.attacks, again.storages) == (first.attacks, first.storages)
    assert len(again.facts.exports) == 1


def test_what_cannot_be_done_is_refused_before_anything_is_written(
    waveform_evaluation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**changes: str) -> PerceptibilityConfig:
        places = {"evaluation": str(waveform_evaluation), "output": str(tmp_path / "out")}
        return PerceptibilityConfig.model_validate(places | changes)

    with pytest.raises(PlaceError, match="output='s3://bucket/look' is a URL; it must be a folder"):
        measure(refused(output="s3://bucket/look"))
    with pytest.raises(PlaceError, match="evaluation and output are both"):
        measure(refused(output=str(waveform_evaluation)))
    with pytest.raises(PlaceError, match="holds no finished evaluation"):
        measure(refused(evaluation=str(tmp_path)))
    monkeypatch.setattr(movies, "CODECS", ("nosuchcodec",))
    with pytest.raises(ResourceError, match="cannot encode with nosuchcodec"):
        measure(refused())
    assert list(tmp_path.iterdir()) == []
