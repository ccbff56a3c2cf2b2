from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from evaluation.config import EvaluateConfig
from evaluation.reporting.page import pictures_of, report_page, threat_sentence, without_pictures
from evaluation.reporting.report import Report
from evaluation.run import picture_of
from evaluation.stored.certificates import Certificates
from evaluation.tasks.measurement import Example
from training.threat import ThreatModel

Summarised = Callable[[Certificates, EvaluateConfig], Report]


class Page(HTMLParser):
    """Collects what a page loads, its pictures and whether its tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def example() -> Example:
    random = np.random.default_rng(0)
    video = random.random((3, 3, 16, 16), dtype=np.float32)
    audio = random.random((3, 16, 16), dtype=np.float32)
    return Example(
        key="<script>alert(1)</script>",
        attack="pgd-5",
        threat="linf(video=7/255, audio=7/255)",
        class_name="bowling",
        mistaken_for="playing drums",
        clean_video=video,
        perturbed_video=np.clip(video + np.float32(7 / 255), 0, 1),
        clean_audio=audio,
        perturbed_audio=np.clip(audio - np.float32(7 / 255), 0, 1),
    )


@pytest.fixture(scope="module")
def report(certificates: Certificates, config: EvaluateConfig, summarised: Summarised, example: Example) -> Report:
    facts, _ = picture_of(example)
    return summarised(certificates, config).model_copy(update={"example": facts})


@pytest.fixture(scope="module")
def text(report: Report, example: Example) -> str:
    return report_page(report, pictures_of(report) | picture_of(example)[1])


def test_the_page_loads_nothing_from_elsewhere(text: str) -> None:
    page = Page(text)
    assert page.open == []
    assert len(page.loads) == 5  # the icon and four pictures
    assert all(load.startswith("data:") for load in page.loads)
    without_pictures = re.sub(r"data:image/[^\"]*", "", text)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<script", without_pictures)


def test_pictures_are_whole(text: str) -> None:
    charts = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', text)
    assert len(charts) == 3
    assert all(base64.b64decode(chart).rstrip().endswith(b"</svg>") for chart in charts)
    assert len(re.findall(r'src="data:image/png;base64,([^"]+)"', text)) == 1


def test_what_comes_from_data_is_escaped(text: str) -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_every_number_stands_beside_its_threat_model(text: str, report: Report) -> None:
    for attack in report.attacks:
        assert f">{attack.name}</td>" in text
    for point in (*report.curve, *report.modalities, report.unbounded):
        assert point.threat in text
    for point in (*report.curve, *report.modalities):
        assert f"{100 * point.worst_case_robust_accuracy:.1f} %" in text
    assert '<td class="text">3 attacks</td>' in text  # at the threat model and at four times as much
    assert '<td class="text">pgd-5 alone</td>' in text  # without a budget
    assert f"{100 * (report.worst_case_robust_accuracy or 0):.1f} %" in text


def test_classes_and_what_they_are_taken_for_have_tables(text: str, report: Report) -> None:
    assert "Table of the 4 classes" in text
    assert "playing &lt;violin&gt;</td>" in text
    pair = report.confusions[0]
    assert f"<td>{pair.num_clips} of {pair.num_right}</td>" in text


def test_the_same_report_gives_the_same_page(text: str, report: Report, example: Example) -> None:
    assert report_page(report, pictures_of(report) | picture_of(example)[1]) == text


def test_its_words_do_not_hang_on_its_pictures(text: str, report: Report) -> None:
    assert without_pictures(report_page(report, {})) == without_pictures(text) != text


def test_without_a_fooled_clip_the_page_says_so(report: Report) -> None:
    assert "there is none to show" in report_page(report.model_copy(update={"example": None}), {})


def test_a_withheld_headline_is_not_printed(
    certificates: Certificates, config: EvaluateConfig, summarised: Summarised
) -> None:
    strict = EvaluateConfig.model_validate(
        config.model_dump() | {"checks": {"max_zero_gradient_share": 0.0, "max_forward_difference": 1e-30}}
    )
    table = certificates.table
    column = table.column_names.index("forward_difference")
    noisy = Certificates(table.set_column(column, table.schema.field(column), [[0.5] * table.num_rows]))
    report = summarised(noisy, strict)
    text = report_page(report, {})
    assert report.withheld is not None
    assert "The headline number is withheld" in text
    assert text.count("These are upper bounds, see above.") == 3
    assert text.count('<div class="number">withheld</div>') == 2  # the worst case, and the strongest attack
    assert report.withheld.reasons[0].replace("'", "&#39;") in text


def test_a_single_modality_and_another_norm_have_a_page(
    hand_made: Callable[..., Certificates], config: EvaluateConfig, summarised: Summarised
) -> None:
    changed = EvaluateConfig.model_validate(config.model_dump() | {"threat": "l2(video=0.5, audio=0)"})
    predictions = {"clean": [0, 1, 2, 0], "else": [0, 1, 2, 0]}
    report = summarised(hand_made(changed, predictions), changed)
    assert "all that the threat model allows" in report_page(report, {})


@pytest.mark.parametrize(
    ("threat", "words"),
    [
        (ThreatModel(), "each pixel value by up to 4/255 and each log-mel value by up to 4/255"),
        (ThreatModel(audio=0), "change each pixel value by up to 4/255, in"),
        (ThreatModel(norm="l2", video=1.5, audio=2), "a clip's frames by up to 1.5 (L2) and its log-mel patches"),
        ("l2(waveform=0.5)", "its waveform by up to 0.5 (L2), in units of the value range (a waveform's full scale"),
        ("linf(audio=4/255, segments=0-2+5)", "4/255, in units of the value range, in segments 0-2+5 of a clip alone."),
    ],
)
def test_the_threat_is_put_into_words(threat: ThreatModel | str, words: str) -> None:
    assert words in threat_sentence(ThreatModel.model_validate(threat))


def test_the_clip_is_shown_before_after_and_as_a_difference(text: str) -> None:
    """A wide picture, and gains that stretch 7/255 to half the range: 255 / 14 = 18."""

    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    assert image.width > 600
    assert "amplified 18 and 18 times" in text


def test_the_page_says_what_trained_and_what_measured(text: str, report: Report) -> None:
    """The report's evaluation is recorded, the checkpoint's training is not."""
    assert "<dt>trained by</dt><dd>tma_curriculum, version and machine not recorded</dd>" in text
    assert "robust-audio-visual 1.2.3 (abababababab) on a processor; torch 2.0" in text
