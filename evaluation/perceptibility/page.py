"""perceptibility.html: one file that shows everything; the movies and sounds that it links to lie beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from evaluation.perceptibility.charts import TITLES, distribution_chart, measures_of, survival_chart
from evaluation.perceptibility.report import Distribution, Estimate, PerceptibilityReport
from evaluation.perceptibility.rows import Rows
from evaluation.reporting.chart import Chart
from evaluation.reporting.page import render
from evaluation.reporting.pictures import clip_pictures
from evaluation.tasks.measurement import Example
from preprocessing.storage.places import join

PAGE_NAME = "perceptibility.html"
DIGITS = defaultdict(lambda: 1, ssim_video=3)
"""Digits of each measure after the point."""
FILE_WORDS = {
    "original_lossless.mp4": "original, lossless",
    "adversarial_lossless.mp4": "adversarial, lossless",
    "original_platform.mp4": "original, as a platform compresses it",
    "adversarial_platform.mp4": "adversarial, as a platform compresses it",
    "original.flac": "sound of the original",
    "adversarial.flac": "sound of the adversarial clip",
    "original_resynthesised.flac": "sound of the original, resynthesised (an approximation)",
    "adversarial_resynthesised.flac": "sound of the adversarial clip, resynthesised (an approximation)",
}
"""Every exported file in words, in the order of the page."""


NO_CHART = Chart("", "")


@dataclass(frozen=True)
class Pictures:
    """The pictures of a page."""

    distributions: Chart
    survival: Chart
    """Empty if no clip fools the model."""
    clips: tuple[str, ...]
    """A strip of each exported clip, as a data URI."""

    @classmethod
    def of(cls, report: PerceptibilityReport, rows: Rows, examples: Sequence[Example]) -> Pictures:
        """Draw all of them."""
        survival = survival_chart(report)
        return cls(
            distributions=distribution_chart(report, rows),
            survival=survival or NO_CHART,
            clips=tuple(clip_pictures(each)[0] for each in examples),
        )

    @classmethod
    def none(cls, report: PerceptibilityReport) -> Pictures:
        """The empty pictures of a page that has the same words."""
        return cls(NO_CHART, NO_CHART, ("",) * len(report.facts.exports))


def perceptibility_page(report: PerceptibilityReport, pictures: Pictures) -> str:
    """The report as HTML with its pictures inside."""
    config = report.config
    return render(
        "perceptibility.html.jinja",
        report=report,
        pictures=pictures,
        has_survivors=any(attack.num_fooled for attack in report.attacks),
        most=max(report.attacks, key=lambda attack: attack.num_fooled),
        measures={name: TITLES[name] for name in measures_of(report)},
        shown=shown,
        number=number,
        file_words=_in_words,
        settings=yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False),
    )


def number(estimate: Estimate, measure: str) -> str:
    """The value of an estimate with the digits of its measure."""
    return f"{estimate.value:.{DIGITS[measure]}f}"


def shown(distribution: Distribution, measure: str) -> tuple[tuple[str, str], ...]:
    """Mean and percentiles, each with its interval in words."""
    digits = DIGITS[measure]
    estimates = (
        distribution.mean,
        distribution.percentile_5,
        distribution.percentile_50,
        distribution.percentile_95,
    )
    return tuple(
        (
            number(each, measure),
            "one clip" if each.interval is None else " to ".join(f"{end:.{digits}f}" for end in each.interval),
        )
        for each in estimates
    )


def _in_words(files: Mapping[str, str]) -> list[tuple[str, str]]:
    """Name and words of the files of a clip, in order."""
    folder = next(iter(files)).rpartition("/")[0]
    places = {name: join(folder, name) for name in FILE_WORDS}
    return [(places[name], words) for name, words in FILE_WORDS.items() if places[name] in files]
