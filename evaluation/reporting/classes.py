"""The results of each class, and the classes that attacks confuse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from evaluation.intervals import exact_interval
from evaluation.reporting.results import ClassResult, Confusion
from evaluation.stored.certificates import Certificates

NUM_CONFUSIONS = 20
"""Pairs of classes that a report tells, the commonest."""


def class_results(
    clips: Certificates, worst_case: Bool[np.ndarray, " clips"], class_names: Sequence[str]
) -> tuple[ClassResult, ...]:
    """Accuracy of each class that has clips, in the order of the labels.

    Args:
        clips: certificates of any one measurement.
        worst_case: True where a clip withstands everything.
        class_names: by label.
    """
    labels, is_right = clips.column("label"), clips.is_right_when_clean
    found = []
    for label, name in enumerate(class_names):
        chosen = labels == label
        if num_clips := int(chosen.sum()):
            right, standing = int(is_right[chosen].sum()), int(worst_case[chosen].sum())
            found.append(
                ClassResult(
                    name=name,
                    num_clips=num_clips,
                    clean_accuracy=right / num_clips,
                    clean_accuracy_interval=exact_interval(right, num_clips),
                    worst_case_robust_accuracy=standing / num_clips,
                    worst_case_robust_accuracy_interval=exact_interval(standing, num_clips),
                )
            )
    return tuple(found)


def confusions(attacks: Sequence[Certificates], class_names: Sequence[str]) -> tuple[Confusion, ...]:
    """The commonest pairs of a true class and one that attacks make of it, the commonest first.

    A clip counts once for each class that any attack made of it, if it was right untouched.

    Args:
        attacks: the certificates of each attack, over the same clips in the same order.
        class_names: by label.
    """
    is_right, labels = attacks[0].is_right_when_clean, attacks[0].column("label")
    fallen: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    for rows in attacks:
        named = rows.numbers("perturbed_prediction")  # -1 = no class, not a number = left out
        for clip in np.flatnonzero(is_right & (named >= 0) & (named != labels)):
            fallen[int(labels[clip]), int(named[clip])].add(int(clip))
    ordered = sorted(fallen, key=lambda pair: (-len(fallen[pair]), pair))
    return tuple(
        Confusion(
            name=class_names[true],
            taken_for=class_names[named],
            num_clips=len(fallen[true, named]),
            num_right=int((is_right & (labels == true)).sum()),
        )
        for true, named in ordered[:NUM_CONFUSIONS]
    )
