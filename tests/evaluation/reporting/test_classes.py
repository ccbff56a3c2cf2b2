"""Classes counted apart, with intervals, and the pairs that attacks confuse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from evaluation.config import EvaluateConfig
from evaluation.reporting.classes import class_results, confusions
from evaluation.stored.certificates import Certificates

HandMade = Callable[..., Certificates]
NAMES = ("dog", "cat", "owl", "cow", "nobody")


@pytest.fixture
def attacks(hand_made: HandMade, config: EvaluateConfig) -> list[Certificates]:
    """Labels 0 1 2 3 0 1 2 3; clip 7 is wrong untouched.

    FGSM takes both dogs for cats, an owl for a dog, and names no class for clip 3. The other takes one of the dogs for
    a cat again, the second for an owl, and clip 7 for a cat.
    """
    predictions = {
        "clean": [0, 1, 2, 3, 0, 1, 2, 0],
        "else": [0, 1, 2, 3, 0, 1, 2, 3],
        "fgsm": [1, 1, 0, -1, 1, 1, 2, 3],
        "pgd-5": [1, 1, 2, 3, 2, 1, 2, 1],
    }
    certificates = hand_made(config, predictions)
    return [certificates.select(name, str(config.threat)) for name in ("fgsm", "pgd-5")]


def test_classes_without_clips_are_left_out_and_intervals_are_those_of_counts(attacks: list[Certificates]) -> None:
    """Of 2 clips 2: from the square root of 0.025, 15.8 %. Of 2 one: Clopper and Pearson's 1.3 to 98.7 %."""
    standing = np.array([True, False, True, False, True, False, True, False])
    found = class_results(attacks[0], standing, NAMES)
    assert [(row.name, row.num_clips) for row in found] == [("dog", 2), ("cat", 2), ("owl", 2), ("cow", 2)]
    assert [row.clean_accuracy for row in found] == [1.0, 1.0, 1.0, 0.5]
    assert [row.worst_case_robust_accuracy for row in found] == [1.0, 0.0, 1.0, 0.0]
    assert found[0].worst_case_robust_accuracy_interval == pytest.approx((0.025**0.5, 1.0))
    assert found[3].clean_accuracy_interval == pytest.approx((0.0126, 0.9874), abs=1e-4)


def test_a_clip_counts_once_in_each_pair_and_only_if_it_was_right(attacks: list[Certificates]) -> None:
    found = [(each.name, each.taken_for, each.num_clips, each.num_right) for each in confusions(attacks, NAMES)]
    assert found == [("dog", "cat", 2, 2), ("dog", "owl", 1, 2), ("owl", "dog", 1, 2)]


def test_clips_that_were_left_out_name_nothing(attacks: list[Certificates]) -> None:
    rows = attacks[1].table.to_pylist()
    left_out = Certificates(attacks[1].table.from_pylist([row | {"perturbed_prediction": None} for row in rows]))
    assert confusions([attacks[0], left_out], NAMES) == confusions([attacks[0]], NAMES)
