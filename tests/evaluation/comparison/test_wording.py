"""Ties, winners and doubts in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.comparison import compare
from evaluation.comparison.crossed import Estimate
from evaluation.comparison.evaluations import CLEAN, WORST_CASE
from evaluation.comparison.wording import doubt, is_tie, notes, p_text, points_range, verdict
from evaluation.config import EvaluateConfig
from tests.evaluation.comparison.conftest import Evaluated, first


def said(value: float, *, corrected: float, measure: str = WORST_CASE, num_comparisons: int = 6) -> str:
    found = Estimate(value, (value - 0.05, value + 0.05), None, 0.01)
    return verdict("old", "new", measure=measure, found=found, corrected=corrected, num_comparisons=num_comparisons)


def test_the_better_one_is_named_first_whichever_it_is() -> None:
    assert said(0.12, corrected=0.001) == (
        "new is better than old in the worst case: +12.0 points for new (95 % interval +7.0 to +17.0; p = 0.001 after "
        "Holm's correction for 6 comparisons)."
    )
    assert said(-0.12, corrected=0.001).startswith("old is better than new in the worst case: -12.0 points for new")


def test_a_tie_is_called_one_although_its_interval_leaves_out_0() -> None:
    assert said(0.12, corrected=0.2).startswith(
        "old and new tie in the worst case: +12.0 points for new, no difference shown"
    )


def test_measures_are_told_as_a_reader_would() -> None:
    assert "tie without attack" in said(0.0, corrected=1.0, measure=CLEAN)
    assert "tie under pgd-5 margin" in said(0.0, corrected=1.0, measure="pgd-5 margin")


def test_a_single_comparison_needs_no_correction() -> None:
    assert "Holm" not in said(0.12, corrected=0.01, num_comparisons=1)


@pytest.mark.parametrize(("p_value", "tie"), [(0.0499, False), (0.05, True), (0.051, True), (1.0, True)])
def test_a_difference_is_shown_below_5_percent(p_value: float, tie: bool) -> None:
    assert is_tie(p_value) is tie


def test_too_few_trainings_are_said_to_be() -> None:
    assert "these two models can be told apart, the methods cannot" in (doubt("a", "b", 1, 1) or "")
    assert "a was trained once" in (doubt("a", "b", 1, 5) or "")
    assert "b was trained once" in (doubt("a", "b", 5, 1) or "")
    assert "3 trainings of a and 3 of b are too few" in (doubt("a", "b", 3, 3) or "")
    assert "p = 0.1." in (doubt("a", "b", 3, 3) or "")
    assert doubt("a", "b", 4, 4) is None


def test_left_out_attacks_and_same_models_are_noted(
    standard: Path, evaluated: Evaluated, config: EvaluateConfig
) -> None:
    fewer = EvaluateConfig.model_validate(config.model_dump() | {"attacks": config.attacks[1:]})
    other = evaluated(clean=first(18), attacked=first(5), config=fewer)
    [note] = notes(compare({"standard": standard, "other": other}))
    assert "over the 2 attacks that all evaluations have" in note
    assert note.endswith("Left out: standard: fgsm.")
    assert notes(compare({"a": standard, "b": standard})) == ["a and b measured the very same model."]


def test_numbers_are_short() -> None:
    assert points_range((-0.021, 0.3)) == "-2.1 to +30.0"
    assert [p_text(each) for each in (1.0, 0.0123, 1e-9)] == ["p = 1", "p = 0.012", "p < 0.0001"]
