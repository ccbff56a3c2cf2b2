"""leaderboard.jsonl: one line per method with the fields that RobustBench keeps of a model.

RobustBench (Croce et al. 2021, arXiv:2010.09670) keeps a JSON file per model in `model_info/`: `link`, `name`,
`authors`, `additional_data`, `number_forward_passes`, `dataset`, `venue`, `architecture`, `eps`, `clean_acc`,
`reported`, `external` or `autoattack_acc`, `footnote` and `unreliable`, accuracies as text in percent. The worst case
here is over the attacks of the reports and not AutoAttack's four alone, so it stands in `external`, which RobustBench
reads first; a withheld number is left out and the line marked `unreliable`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePosixPath

from evaluation.comparison.evaluations import Method
from evaluation.comparison.origins import origin_of
from evaluation.comparison.result import ComparedMethod, Comparison


def leaderboard(comparison: Comparison, methods: Sequence[Method]) -> str:
    """A JSON line per method; what neither report nor checkpoint says is empty."""
    lines = [line(comparison.methods[method.name], method) for method in methods]
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines)


def line(compared: ComparedMethod, method: Method) -> dict[str, object]:
    """The fields of one method."""
    report = method.reports[0]
    origin = origin_of(report)
    worst = compared.worst_case_robust_accuracy
    robust = {} if worst is None else {"reported": _percent(worst), "external": _percent(worst)}
    return {
        "link": "",
        "name": method.name,
        "authors": "",
        "additional_data": origin.has_additional_data if origin else None,
        "number_forward_passes": 1,  # a classifier here answers in one pass
        "dataset": PurePosixPath(report.config.data).name,
        "venue": "",
        "architecture": str(origin.info.model) if origin else "",
        "eps": compared.threat,
        "clean_acc": _percent(compared.clean_accuracy),
        **robust,
        "footnote": _footnote(compared),
        "unreliable": bool(compared.withheld),
    }


def _footnote(compared: ComparedMethod) -> str:
    num_trainings = len(compared.trainings)
    trained = "One training" if num_trainings == 1 else f"Mean over {num_trainings} trainings"
    attacks = ", ".join(each.name for each in compared.attacks)
    text = f"{trained}, {compared.num_clips} clips of the split {compared.split}; worst case over {attacks}."
    return text + (f" Withheld: {'; '.join(compared.withheld)}." if compared.withheld else "")


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
