"""Several models measured on the same clips by the same attacks: comparison.json, comparison.html and one table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from rich.console import Console
from rich.table import Table

from evaluation.certificates import CERTIFICATES_NAME, Certificates
from evaluation.intervals import Interval, Resampling
from evaluation.page import render, threat_sentence
from evaluation.pictures import Bar, compared_bars, compared_curves
from evaluation.report import AttackResult, Report, Withheld, percent, percents
from preprocessing.errors import DataError
from preprocessing.settings import Settings, describe_differences
from preprocessing.storage.atomic_file import write_text
from preprocessing.storage.provenance import Provenance

COMPARISON_NAME = "comparison.json"
COMPARISON_PAGE_NAME = "comparison.html"


class Gain(Settings):
    """Share of the clips won over another model, over the same clips and draws."""

    over: str
    """Name of the other model."""
    clean_accuracy: float
    clean_accuracy_interval: Interval
    worst_case_robust_accuracy: float | None
    """None = withheld for one of the two."""
    worst_case_robust_accuracy_interval: Interval | None


class ComparedModel(Settings):
    """One model's numbers."""

    clean_accuracy: float
    clean_accuracy_interval: Interval
    worst_case_robust_accuracy: float | None
    worst_case_robust_accuracy_interval: Interval | None
    withheld: Withheld | None
    threat: str
    num_clips: int
    model_sha256: str
    objective: str | None
    """Name of the objective that it was trained by; None = unknown."""
    trained_with: Provenance | None
    """The code, libraries and machine that trained it; None = unknown."""
    provenance: Provenance | None
    """Those that measured it; None = unknown."""
    attacks: tuple[AttackResult, ...]
    gain: Gain | None
    """Against the first model; None for the first itself."""


@dataclass(frozen=True)
class Comparison:
    """Models by name, the first being the one that the others are compared with."""

    models: Mapping[str, ComparedModel]

    def table(self) -> Table:
        """One row per attack, one column per model."""
        first = next(iter(self.models.values()))
        table = Table(title=f"accuracy on {first.num_clips} clips, threat model {first.threat}", title_justify="left")
        table.add_column("")
        for name in self.models:
            table.add_column(name, justify="right")
        table.add_row(
            "clean", *(_share(model.clean_accuracy, model.clean_accuracy_interval) for model in self.models.values())
        )
        for number, attack in enumerate(first.attacks):
            results = [model.attacks[number] for model in self.models.values()]
            table.add_row(attack.name, *(_share(one.robust_accuracy, one.robust_accuracy_interval) for one in results))
        table.add_section()
        table.add_row("worst case", *(_headline(model) for model in self.models.values()))
        gains = [model.gain for model in self.models.values()]
        if any(gains):
            table.add_row("gain, clean", *(_gain(gain, "clean_accuracy") for gain in gains))
            table.add_row("gain, worst case", *(_gain(gain, "worst_case_robust_accuracy") for gain in gains))
        return table

    def print(self) -> None:
        """Print the table to the console."""
        Console().print(self.table())


def compare(folders: Mapping[str, str | Path], output: str | Path) -> Comparison:
    """Compare finished evaluations and write comparison.json and comparison.html into `output`.

    Args:
        folders: name -> folder of its evaluation; the first is the one that the others are compared with.
        output: folder for the two files.

    Raises:
        ValueError: if the evaluations are of other clips, or by other attacks or another threat model.
    """
    reports = {name: Report.read(folder) for name, folder in folders.items()}
    certificates = {name: Certificates.read(Path(folder) / CERTIFICATES_NAME) for name, folder in folders.items()}
    _check_comparable(reports)
    comparison = comparison_of(reports, certificates)
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    entries = {name: model.model_dump(mode="json") for name, model in comparison.models.items()}
    write_text(output / COMPARISON_NAME, json.dumps(entries, indent=2) + "\n")
    write_text(output / COMPARISON_PAGE_NAME, comparison_page(comparison, reports))
    return comparison


def comparison_of(reports: Mapping[str, Report], certificates: Mapping[str, Certificates]) -> Comparison:
    """Put reports side by side; differences are paired by clip."""
    baseline = next(iter(reports))
    models = {}
    for name, report in reports.items():
        known = {field: getattr(report, field) for field in ComparedModel.model_fields if field != "gain"}
        gain = None if name == baseline else _gain_over(baseline, name, reports, certificates)
        models[name] = ComparedModel(**known, gain=gain)
    return Comparison(models)


def comparison_page(comparison: Comparison, reports: Mapping[str, Report]) -> str:
    """The comparison as one self-contained HTML file."""
    first = next(iter(reports.values()))
    rows = ["no attack", *(attack.name for attack in first.attacks), "worst case"]
    chance = max(row.num_clips for row in first.classes) / first.num_clips
    return render(
        "comparison.html.jinja",
        models=comparison.models,
        reports=reports,
        first=first,
        bars=compared_bars(rows, {name: _bars(model) for name, model in comparison.models.items()}),
        curves=compared_curves({name: report.curve for name, report in reports.items()}, chance=chance),
        threat_sentence=threat_sentence(first.config.threat),
    )


def _check_comparable(reports: Mapping[str, Report]) -> None:
    first_name, first = next(iter(reports.items()))
    for name, report in reports.items():
        places = (f"in '{first_name}'", f"in '{name}'")
        if lines := describe_differences(_measured(first), _measured(report), places=places):
            raise DataError(
                f"'{first_name}' and '{name}' cannot be compared; evaluate both with the same settings. What differs:\n"
                + "\n".join(f"  {line}" for line in lines)
            )


def _measured(report: Report) -> dict[str, object]:
    """The parts that two reports must have in common: clips, and the attacks under which they were measured."""
    return {
        "dataset_content_sha256": report.dataset_content_sha256,
        "split": report.config.split,
        "num_clips": report.num_clips,
        "threat": report.config.threat,
        "attacks": report.config.attacks,
    }


def _gain_over(
    baseline: str, name: str, reports: Mapping[str, Report], certificates: Mapping[str, Certificates]
) -> Gain:
    first, second = reports[baseline], reports[name]
    draws = Resampling.draw(second.num_clips, num_draws=second.config.num_resamples, seed=second.config.seed)
    clean = [_clean(certificates[one], reports[one]) for one in (name, baseline)]
    worst = [_worst_case(certificates[one], reports[one]) for one in (name, baseline)]
    is_withheld = first.withheld is not None or second.withheld is not None
    return Gain(
        over=baseline,
        clean_accuracy=float(clean[0].mean() - clean[1].mean()),
        clean_accuracy_interval=draws.difference(*clean),
        worst_case_robust_accuracy=None if is_withheld else float(worst[0].mean() - worst[1].mean()),
        worst_case_robust_accuracy_interval=None if is_withheld else draws.difference(*worst),
    )


def _clean(certificates: Certificates, report: Report) -> Bool[np.ndarray, " clips"]:
    return certificates.select(report.attacks[0].name, report.threat).is_right_when_clean


def _worst_case(certificates: Certificates, report: Report) -> Bool[np.ndarray, " clips"]:
    survivors = [certificates.select(attack.name, attack.threat).is_robust for attack in report.attacks]
    return np.asarray(np.logical_and.reduce(survivors))


def _bars(model: ComparedModel) -> Sequence[Bar | None]:
    bars: list[Bar | None] = [Bar(model.clean_accuracy, model.clean_accuracy_interval)]
    bars += [Bar(attack.robust_accuracy, attack.robust_accuracy_interval) for attack in model.attacks]
    share, interval = model.worst_case_robust_accuracy, model.worst_case_robust_accuracy_interval
    return [*bars, None if share is None or interval is None else Bar(share, interval)]


def _share(share: float, interval: Interval) -> str:
    return f"{percent(share)} ({percents(interval)})"


def _headline(model: ComparedModel) -> str:
    share, interval = model.worst_case_robust_accuracy, model.worst_case_robust_accuracy_interval
    return "withheld" if share is None or interval is None else _share(share, interval)


def _gain(gain: Gain | None, what: str) -> str:
    if gain is None:
        return ""
    share, interval = getattr(gain, what), getattr(gain, f"{what}_interval")
    return "withheld" if share is None else f"{100 * share:+.1f} ({100 * interval[0]:+.1f} to {100 * interval[1]:+.1f})"
