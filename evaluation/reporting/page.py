"""report.html: one file that needs nothing else, no network and no other file."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from jinja2 import Environment

from evaluation.reporting.class_pictures import by_robustness, class_intervals
from evaluation.reporting.pictures import attack_bars, epsilon_curve
from evaluation.reporting.report import Report, percent, percents
from preprocessing.reporting.page import page_environment
from preprocessing.storage.provenance import Provenance
from training.batch import Modality
from training.threat import ThreatModel, segments_text

PAGE_NAME = "report.html"
AT_OTHER_MOMENTS = (
    "The moments at which the model samples a video are hidden from the attacker: attacks are made at other ones, what "
    "they change lasts as long as the frame or the sound that it belongs to, and success is measured on what the model "
    "meets where it looks, among the clips that it gets right there untouched."
)


def report_page(report: Report, pictures: Mapping[str, str]) -> str:
    """The report as HTML with its pictures inside: `pictures_of(report)` and `clip` of its example, or fewer."""
    return render(
        "report.html.jinja",
        report=report,
        pictures=defaultdict(str, pictures),
        model_name=report.model_name,
        strongest=report.strongest,
        classes=by_robustness(report.classes),
        sound="waveform" if report.config.threat.audio_domain == "waveform" else "log-mel",
        num_passed=sum(check.outcome == "passed" for check in report.checks),
        num_fired=sum(check.outcome == "fired" for check in report.checks),
        threat_sentence=threat_sentence(report.config.threat),
        settings=yaml.safe_dump(report.config.model_dump(mode="json"), sort_keys=False),
    )


def pictures_of(report: Report) -> dict[str, str]:
    """The charts of a report's page, as data URIs by name."""
    chance = max(row.num_clips for row in report.classes) / report.num_clips
    return {
        "attacks": attack_bars(report),
        "curve": epsilon_curve(report.curve, chance=chance),
        "classes": class_intervals(report.classes),
    }


def without_pictures(page: str) -> str:
    """A page with every picture left out: its words and numbers."""
    return re.sub(r'(src|srcset)="data:[^"]*"', r'\1=""', page)


def render(template: str, **values: Any) -> str:
    """Fill one of this package's templates; everything is escaped."""
    return _environment().get_template(template).render(**values)


def threat_sentence(threat: ThreatModel) -> str:
    """The threat model in words."""
    is_waveform = threat.audio_domain == "waveform"
    what: dict[Modality, str]
    if threat.geometry.is_per_value:
        what = {
            "video": "each pixel value",
            "audio": "each sample of the waveform" if is_waveform else "each log-mel value",
        }
    else:
        what = {"video": "a clip's frames", "audio": "its waveform" if is_waveform else "its log-mel patches"}
    said = [f"{what[name]} by up to {_budget(threat, name)}" for name in threat.modalities]
    full_scale = " (a waveform's full scale is 1)" if is_waveform and threat.audio else ""
    spared = "" if threat.segments is None else f", in segments {segments_text(threat.segments)} of a clip alone"
    sentence = f"An attacker may change {' and '.join(said)}, in units of the value range{full_scale}{spared}."
    return sentence if threat.moments == "known" else f"{sentence} {AT_OTHER_MOMENTS}"


def _budget(threat: ThreatModel, modality: Modality) -> str:
    epsilon = threat.epsilon(modality)
    if not threat.geometry.is_per_value:
        return f"{epsilon:g} ({threat.norm.upper()})"
    return f"{epsilon:g}" if modality == "audio" and threat.audio_domain == "waveform" else levels(epsilon)


def levels(change: float) -> str:
    """A change of values in [0, 1] in steps of 8 bit: `4.0/255`."""
    return f"{change * 255:.3g}/255" if change else "0"


def largest_change(value: float, sound: str) -> str:
    """The largest change of the sound: of a log-mel value in steps of 8 bit, of a waveform in units of full scale."""
    return f"{value:.3g}" if sound == "waveform" else levels(value)


def size(length: float) -> str:
    """Three digits."""
    return f"{length:#.3g}"


def num_attacks(attacks: Sequence[str]) -> str:
    """`pgd-20 alone`, or `9 attacks`."""
    return f"{attacks[0]} alone" if len(attacks) == 1 else f"{len(attacks)} attacks"


def decibels(value: float | None) -> str:
    """`36.1 dB`; a dash where nothing changed."""
    return "-" if value is None else f"{value:.1f} dB"


def made_with(provenance: Provenance | None) -> str:
    """The code, the machine and the libraries in a line; an earlier version recorded none of them."""
    if provenance is None:
        return "version and machine not recorded"
    return f"{provenance}; {', '.join(f'{name} {version}' for name, version in provenance.libraries.items())}"


@functools.cache
def _environment() -> Environment:
    environment = page_environment("evaluation")
    environment.filters.update(percent=percent, percents=percents, levels=levels, size=size, decibels=decibels)
    environment.filters.update(largest_change=largest_change, made_with=made_with, num_attacks=num_attacks)
    return environment
