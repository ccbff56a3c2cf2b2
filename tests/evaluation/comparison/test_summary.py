"""What a comparison finds in evaluations whose outcomes are known clip by clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.comparison import compare
from evaluation.comparison.evaluations import CLEAN, WORST_CASE
from evaluation.comparison.result import Comparison, Difference
from evaluation.config import EvaluateConfig
from evaluation.reporting.report import Report
from evaluation.stored.certificates import CERTIFICATES_NAME, Certificates, file_sha256
from tests.evaluation.comparison.conftest import AWKWARD, Evaluated, first, right


def found(comparison: Comparison, name: str, measure: str) -> Difference:
    [difference] = [each for each in comparison.methods[name].differences if each.measure == measure]
    return difference


def test_differences_are_paired_by_clip(standard: Path, robust: Path) -> None:
    """Clean 18 against 16, worst case 2 against 14 of 20, on the same first clips: 12 wins, no loss.

    McNemar: 2 / 2^12. Of 5 comparisons 4 have that p-value: the smallest counts five times.
    """
    comparison = compare({"standard": standard, "robust": robust})
    worst, clean = (found(comparison, "robust", measure) for measure in (WORST_CASE, CLEAN))
    assert [worst.difference, worst.wins, worst.losses] == pytest.approx([0.6, 12, 0])
    assert worst.p_value == pytest.approx(2 / 2**12)
    assert worst.corrected_p_value == pytest.approx(5 * 2 / 2**12)
    assert [clean.difference, clean.wins, clean.losses] == pytest.approx([-0.1, 0, 2])
    assert (clean.p_value, clean.is_tie, worst.is_tie) == (0.5, True, False)
    assert comparison.num_comparisons == 5
    assert [comparison.methods[name].rank for name in ("standard", "robust")] == [2, 1]
    assert comparison.methods["standard"].differences == ()
    assert "robust is better than standard in the worst case" in worst.verdict
    assert "standard and robust tie without attack" in clean.verdict


def test_the_worst_case_is_taken_clip_by_clip(evaluated: Evaluated) -> None:
    """The model's own numbers are those of its report."""
    folder, other = (evaluated(clean=first(18), attacked=right(1, 5, 7, number)) for number in (9, 11))
    method = compare([folder, other]).methods[folder.name]
    assert (method.clean_accuracy, method.worst_case_robust_accuracy) == (0.9, 0.2)
    assert [attack.name for attack in method.attacks] == ["fgsm", "pgd-5", "pgd-5 margin"]
    assert method.attacks[0].attack_success_rate == pytest.approx(1 - 4 / 18)


def test_identical_evaluations_tie_and_are_told(standard: Path) -> None:
    comparison = compare({"one": standard, "other": standard})
    for difference in comparison.methods["other"].differences:
        assert (difference.difference, difference.p_value, difference.corrected_p_value) == (0.0, 1.0, 1.0)
        assert difference.is_tie
    assert [method.rank for method in comparison.methods.values()] == [1, 1]


def test_several_trainings_have_mean_deviation_and_a_t_test(standard: Path, several: tuple[Path, ...]) -> None:
    """10, 12 and 14 of 20 clips: mean 0.6, deviation 0.1."""
    comparison = compare({"standard": standard, "robust": several})
    method = comparison.methods["robust"]
    assert method.worst_case_robust_accuracy == pytest.approx(0.6)
    assert method.worst_case_robust_accuracy_deviation == pytest.approx(0.1)
    assert method.clean_accuracy_deviation == pytest.approx(0.0)
    assert [each.worst_case_robust_accuracy for each in method.trainings] == pytest.approx([0.5, 0.6, 0.7])
    difference = found(comparison, "robust", WORST_CASE)
    assert (difference.wins, difference.losses) == (None, None)
    assert 0 < difference.p_value < 0.05
    assert "standard was trained once" in method.doubts[0].sentence


def test_a_withheld_headline_is_neither_shown_nor_ranked_nor_compared(awkward: Comparison) -> None:
    """It withstands every attack on paper, and loses nothing by it: only what is without attack is compared."""
    masked = awkward.methods[AWKWARD[2]]
    assert (masked.worst_case_robust_accuracy, masked.rank, masked.withheld) == (None, None, ("fog",))
    assert masked.trainings[0].worst_case_robust_accuracy is None
    assert {each.measure for each in masked.differences} == {CLEAN}
    assert [awkward.methods[name].rank for name in AWKWARD[:2]] == [2, 1]
    assert awkward.num_comparisons == 5 + 1 + 1


def test_unlike_lists_of_attacks_are_compared_on_the_common_ones(
    evaluated: Evaluated, standard: Path, config: EvaluateConfig
) -> None:
    fewer = EvaluateConfig.model_validate(config.model_dump() | {"attacks": config.attacks[1:]})
    other = evaluated(clean=first(18), attacked=first(5), config=fewer)
    comparison = compare({"standard": standard, "other": other})
    assert comparison.measures == (CLEAN, "pgd-5", "pgd-5 margin", WORST_CASE)
    assert [method.left_out for method in comparison.methods.values()] == [("fgsm",), ()]


def test_clips_in_another_order_are_the_same_clips(standard: Path, robust: Path, tmp_path: Path) -> None:
    """The rows of one evaluation turned around."""
    table = Certificates.read(robust / CERTIFICATES_NAME).table
    turned = Certificates(table.take(np.arange(table.num_rows)[::-1]))
    turned.write(tmp_path / CERTIFICATES_NAME)
    changes = {"certificates_sha256": file_sha256(tmp_path / CERTIFICATES_NAME)}
    Report.read(robust).model_copy(update=changes).write(tmp_path)
    here, there = (compare({"a": standard, "b": folder}).methods["b"] for folder in (tmp_path, robust))
    assert here.differences == there.differences
