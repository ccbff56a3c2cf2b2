from __future__ import annotations

import numpy as np
import pytest

from studies.transfer.outcomes import Found
from studies.transfer.successes import Counts, Draws, counts


def test_only_other_victims_that_were_right_count() -> None:
    """Two models, three clips: model 0 is right on clips 0 and 1, model 1 on all."""
    is_right = np.array([[1, 1, 0], [1, 1, 1]], bool)
    same = np.zeros((2, 2, 3), bool)
    same[0, 1] = [1, 0, 1]  # made on model 0, tried on model 1
    same[1, 0] = [1, 0, 1]  # made on model 1, tried on model 0, which is wrong on clip 2 anyway
    same[0, 0] = same[1, 1] = True
    found = Found(is_right, is_right.copy(), is_right.copy(), same, ~same)
    transfer = counts([found], "transfer", is_ensemble=False)
    assert transfer.hits.tolist() == [[1, 0, 1], [1, 0, 0]]
    assert transfer.trials.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert counts([found, found], "other moments", is_ensemble=False).hits.tolist() == 2 * [[0, 1, 0], [0, 1, 0]]
    assert counts([found], "transfer", is_ensemble=True).hits.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert counts([found], "white-box", is_ensemble=False).trials.tolist() == is_right.astype(float).tolist()


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Surrogates of differing strength, 12 of them, 80 clips, 200 experiments: the true difference is 0.1."""
    random, inside = np.random.default_rng(0), 0
    for _ in range(200):
        strength = random.normal(0.4, 0.1, (12, 1)).clip(0, 0.85)
        drawn = random.random((12, 80))
        weak, strong = drawn < strength, drawn < strength + 0.1
        draws = Draws.of(
            {"weak": Counts(weak * 1.0, np.ones((12, 80))), "strong": Counts(strong * 1.0, np.ones((12, 80)))}
        )
        low, high = draws.difference("strong", "weak").interval
        inside += low <= 0.1 <= high
    assert inside >= 180


def test_the_rate_is_a_share_of_all_trials() -> None:
    draws = Draws.of({"a": Counts(np.array([[1.0, 0.0]]), np.array([[2.0, 2.0]]))})
    assert draws.rate("a").rate == pytest.approx(0.25)
    assert draws.difference("a", "a").interval == (0.0, 0.0)
