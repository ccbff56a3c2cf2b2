from __future__ import annotations

import re
from html import unescape

import pytest

from evaluation.perceptibility.page import FILE_WORDS, Pictures, perceptibility_page
from evaluation.perceptibility.report import PerceptibilityReport
from evaluation.perceptibility.rows import Rows
from evaluation.reporting.page import without_pictures
from tests.evaluation.perceptibility.hand_made import EXPORTED, ROWS, report_of, row


def page_of(report: PerceptibilityReport) -> str:
    return perceptibility_page(report, Pictures.none(report))


def words_of(page: str) -> str:
    """The text of a page on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_a_page_has_every_number_and_nothing_from_elsewhere() -> None:
    report = report_of()
    page, words = page_of(report), words_of(page_of(report))
    pgd = report.attacks[0]
    assert pgd.ssim_video is not None
    assert pgd.ssim_video.mean.interval is not None
    low, high = pgd.ssim_video.mean.interval
    assert f"pgd 4 0.650 {low:.3f} to {high:.3f} 0.500" in words
    assert "fgsm 1 20.0 one clip 20.0 one clip" in words
    assert "JPEG 75 80.0 %" in words
    assert "33.3 %" in words
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    assert "&lt;evaluation&gt;" in page


def test_a_page_links_to_the_files_that_are_there() -> None:
    page = page_of(report_of())
    assert re.findall(r'href="(clips[^"]*)"', page) == list(EXPORTED.files)
    assert "playing &lt;violin&gt;; untouched the model says playing &lt;violin&gt;, under pgd singing." in page
    assert FILE_WORDS["original_platform.mp4"] not in page


@pytest.mark.parametrize("domain", ["waveform", "logmel"])
def test_a_page_says_whether_there_is_an_adversarial_sound(domain: str) -> None:
    page = words_of(page_of(report_of(audio_domain=domain, not_applicable=("no storage of sound: so it is",))))
    assert ("there is no adversarial sound" in page) == (domain == "logmel")
    assert ("an approximation" in page) == (domain == "logmel")
    assert "Not tried: no storage of sound: so it is." in page


def test_a_page_without_survivors_says_so() -> None:
    page = page_of(report_of(Rows.from_rows([row(0), row(1)])))
    assert "No stored clip fools the model" in page
    assert "Share of the fooling clips" not in page


def test_pictures_change_no_word() -> None:
    report = report_of()
    pictures = Pictures.of(report, ROWS, [])
    with_pictures = perceptibility_page(report, Pictures(pictures.distributions, pictures.survival, ("data:,",)))
    assert with_pictures.count("data:image/svg+xml") == 4
    assert without_pictures(with_pictures) == without_pictures(page_of(report)) != with_pictures
