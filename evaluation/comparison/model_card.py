"""A model card per method, in the sections of Mitchell et al. 2019 ("Model Cards for Model Reporting", FAT*,
arXiv:1810.03993, Section 4), filled from reports and checkpoints alone: what they do not say is said to be unknown."""

from __future__ import annotations

from collections.abc import Iterable

from evaluation.comparison.evaluations import Method
from evaluation.comparison.origins import Origin, origin_of
from evaluation.comparison.result import ComparedMethod
from evaluation.reporting.grid import escape_markdown as text
from evaluation.reporting.page import made_with, threat_sentence
from evaluation.reporting.report import Report, percent, percents

UNKNOWN = "Not recorded: for the model's makers to say."
"""Stands where neither a report nor a checkpoint knows anything."""


def model_card(compared: ComparedMethod, method: Method) -> str:
    """The card of one method as Markdown; of several trainings the details are the first one's."""
    report = method.reports[0]
    origin = origin_of(report)
    sections = {
        "Model Details": _details(compared, method, origin),
        "Intended Use": [UNKNOWN],
        "Factors": [
            f"The report tells accuracy apart by class ({len(report.classes)} classes), by attack and by the attacked "
            "modality. Nothing is recorded of people, places or devices in the clips."
        ],
        "Metrics": _metrics(report),
        "Evaluation Data": [
            f"{report.num_clips} clips of the split `{report.config.split}` of a data set whose content has the "
            f"SHA-256 `{report.dataset_content_sha256}`."
        ],
        "Training Data": [_training_data(report, origin)],
        "Quantitative Analyses": _analyses(compared, report),
        "Ethical Considerations": [UNKNOWN],
        "Caveats and Recommendations": _caveats(compared, report),
    }
    body = "\n\n".join(f"## {title}\n\n" + "\n\n".join(parts) for title, parts in sections.items())
    return f"# Model card: {text(method.name)}\n\n{body}\n"


def _details(compared: ComparedMethod, method: Method, origin: Origin | None) -> list[str]:
    report = method.reports[0]
    rows = [
        ("architecture", str(origin.info.model) if origin else "not recorded: the checkpoint is not where it was"),
        ("trained by", report.objective or "not recorded"),
        ("epochs", str(origin.info.epoch) if origin else "not recorded"),
        ("trained with", made_with(report.trained_with)),
        ("trainings", str(len(compared.trainings))),
        *(("weights (SHA-256)", training.model_sha256) for training in compared.trainings),
        ("people, licence, contact", "not recorded"),
    ]
    return [_table(("", ""), rows)]


def _metrics(report: Report) -> list[str]:
    return [
        "*Clean accuracy*: share of the clips classified correctly. *Robust accuracy*: share of all clips classified "
        "correctly untouched and under an attack. *Worst case*: over all attacks of the table, clip by clip.",
        f"{text(threat_sentence(report.config.threat))} The attacker knows the model and its gradients.",
        "Intervals cover 95 %: bootstrap over clips, exact where all clips agree; of several trainings over trainings "
        "and clips.",
    ]


def _training_data(report: Report, origin: Origin | None) -> str:
    if origin is None:
        return UNKNOWN
    same = "the same as" if origin.info.dataset_sha256 == report.dataset_content_sha256 else "other than"
    began = "from weights learnt elsewhere" if origin.has_additional_data else "at random"
    return (
        f"The training split of a data set whose content has the SHA-256 `{origin.info.dataset_sha256}`, {same} that "
        f"of the evaluation. The encoders began {began}."
    )


def _analyses(compared: ComparedMethod, report: Report) -> list[str]:
    rows = [("no attack", percent(compared.clean_accuracy), percents(compared.clean_accuracy_interval))]
    rows += [
        (attack.name, percent(attack.robust_accuracy), percents(attack.robust_accuracy_interval))
        for attack in compared.attacks
    ]
    worst = compared.worst_case_robust_accuracy
    shown = "withheld" if worst is None else percent(worst)
    rows.append(("worst case", shown, percents(compared.worst_case_robust_accuracy_interval)))
    classes = [
        (row.name, str(row.num_clips), percent(row.clean_accuracy), percent(row.worst_case_robust_accuracy))
        for row in report.classes
    ]
    return [
        _table(("attack", "accuracy", "95 % interval"), rows),
        "By class, worst case over all attacks of the report" + ("" if worst is not None else " (upper bounds)") + ":",
        _table(("class", "clips", "clean accuracy", "worst case"), classes),
    ]


def _caveats(compared: ComparedMethod, report: Report) -> list[str]:
    found = [f"**The worst case is withheld**: {text(reason)}." for reason in compared.withheld]
    found += [f"{text(warning)}." for warning in report.warnings]
    found += [f"Check `{each.name}`: {each.outcome.replace('_', ' ')}. {text(each.finding)}" for each in report.checks]
    if len(compared.trainings) == 1:
        found.append("The numbers are of one training: another seed gives others.")
    found.append("Robust accuracy is measured against the attacks named above and is no guarantee against others.")
    return ["\n".join(f"* {each}" for each in found)]


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *(tuple(map(text, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
