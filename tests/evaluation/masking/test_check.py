from __future__ import annotations

import numpy as np
import pytest

from evaluation.config import CheckLimits
from evaluation.masking.check import AttackOutcome, decided, is_ahead, not_run


@pytest.mark.parametrize(
    ("backward_passes", "is_transferred", "is_white_box"),
    [(1, False, True), (20, False, True), (0, False, False), (20, True, False)],
)
def test_a_white_box_attack_follows_the_models_own_gradient(
    backward_passes: int, is_transferred: bool, is_white_box: bool
) -> None:
    outcome = AttackOutcome("pgd", "linf", backward_passes, np.ones(3, dtype=bool), is_transferred)
    assert outcome.is_white_box == is_white_box


@pytest.mark.parametrize(("lead", "of", "expected"), [(6, 100, False), (7, 100, True), (7, 400, False), (9, 400, True)])
def test_a_lead_must_be_sure_and_large(lead: int, of: int, expected: bool) -> None:
    """6 clips alone are 2^-6 = 0.016 by chance, 7 are 0.008; of 400 clips 7 are 1.75 %, 9 are 2.25 %."""
    more = np.arange(of) < 50 + lead
    less = np.arange(of) < 50
    assert is_ahead(more, less, significance=0.01, limits=CheckLimits()) == expected
    assert not is_ahead(less, more, significance=0.01, limits=CheckLimits())


def test_an_answer_fires_or_passes_and_none_is_given_with_its_reason() -> None:
    assert decided("a", "Is it?", fired=True, finding="yes").outcome == "fired"
    assert decided("a", "Is it?", fired=False, finding="no").outcome == "passed"
    assert not_run("a", "Is it?", "nobody looked").model_dump() == {
        "name": "a",
        "outcome": "not_run",
        "question": "Is it?",
        "finding": "nobody looked",
    }
