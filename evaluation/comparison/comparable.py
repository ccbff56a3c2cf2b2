"""Whether evaluations may be compared: the same clips, data, split, classes and threat; and the attacks they share."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.comparison.evaluations import Evaluation, Method
from evaluation.reporting.report import Report
from preprocessing.errors import DataError
from preprocessing.settings import describe_differences

NUM_KEYS_TOLD = 3
"""Clips that only one of two evaluations has: so many are named."""


def require_comparable(methods: Sequence[Method]) -> None:
    """Refuse evaluations that differ in what they measured; their lists of attacks may differ.

    Raises:
        DataError: naming the two evaluations and everything in which they differ.
    """
    first, *others = [(method, each) for method in methods for each in method.evaluations]
    for method, evaluation in others:
        names = (_told(*first), _told(method, evaluation))
        lines = describe_differences(
            _measured(first[1]), _measured(evaluation), places=(f"in {names[0]}", f"in {names[1]}")
        )
        if lines := [*lines, *_differing_clips(first[1], evaluation, names)]:
            raise DataError(
                f"{names[0]} and {names[1]} cannot be compared; evaluate both with the same data, split, limit and "
                "threat. What differs:\n" + "\n".join(f"  {line}" for line in lines)
            )


def common_attacks(methods: Sequence[Method]) -> tuple[str, ...]:
    """The labels of the attacks that every evaluation has, in the order of the first, transferred ones among them.

    Where the lists differ, without those that left out clips which another attack had fooled: that other one may not be
    among the common ones.

    Raises:
        DataError: if there is none.
    """
    lists = [labels_of(report) for method in methods for report in method.reports]
    shared = [each for each in lists[0] if all(each in labels for labels in lists)]
    if any(labels != lists[0] for labels in lists):
        shared = [each for each in shared if saw_every_clip(methods, each)]
    if not shared:
        listed = "\n".join(
            f"  {_told(method, each)}: {', '.join(labels_of(each.report))}"
            for method in methods
            for each in method.evaluations
        )
        raise DataError(f"no attack is in every evaluation; evaluate again with one in common. They have:\n{listed}")
    return tuple(shared)


def labels_of(report: Report) -> tuple[str, ...]:
    """The labels of the attacks that a report's worst case is taken over."""
    return tuple(result.name for result in report.attacks)


def saw_every_clip(methods: Sequence[Method], attack: str) -> bool:
    """True if an attack was run on every clip in all evaluations, so that its accuracies are its own."""
    results = [result for method in methods for report in method.reports for result in report.attacks]
    return all(result.num_left_out == 0 for result in results if result.name == attack)


def left_out(method: Method, attacks: Sequence[str]) -> tuple[str, ...]:
    """Labels of a method's attacks that are not among the common ones."""
    listed = [each for report in method.reports for each in labels_of(report) if each not in attacks]
    return tuple(dict.fromkeys(listed))


def _measured(evaluation: Evaluation) -> dict[str, object]:
    """The parts that all must have in common."""
    report = evaluation.report
    return {
        "dataset_content_sha256": report.dataset_content_sha256,
        "moments_content_sha256": report.moments_content_sha256,
        "split": report.config.split,
        "class_names": report.class_names,
        "threat": report.config.threat,
    }


def _differing_clips(first: Evaluation, second: Evaluation, names: tuple[str, str]) -> list[str]:
    labels = (first.labels, second.labels)
    found = []
    for number in (0, 1):
        if alone := sorted(labels[number].keys() - labels[1 - number].keys()):
            more = ", ..." if len(alone) > NUM_KEYS_TOLD else ""
            told = ", ".join(f"'{key}'" for key in alone[:NUM_KEYS_TOLD])
            found.append(f"clips: {len(alone)} of {len(labels[number])} are in {names[number]} alone: {told}{more}")
    shared = labels[0].keys() & labels[1].keys()
    if other := sorted(key for key in shared if labels[0][key] != labels[1][key]):
        found.append(f"clips: {len(other)} have another class in the two, '{other[0]}' among them")
    return found


def _told(method: Method, evaluation: Evaluation) -> str:
    """A method's name, and of several evaluations the folder."""
    return f"'{method.name}'" + (f" ('{evaluation.folder}')" if len(method.evaluations) > 1 else "")
