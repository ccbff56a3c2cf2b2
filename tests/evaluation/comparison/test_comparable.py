"""Refusals: each names the two evaluations and what differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.comparison import compare
from evaluation.config import EvaluateConfig
from preprocessing.errors import DataError
from tests.evaluation.comparison.conftest import Evaluated, first
from training.attacks import FGSM, MIFGSM
from training.threat import ThreatModel


def refusal(folder: Path, other: Path | tuple[Path, ...]) -> str:
    with pytest.raises(DataError) as caught:
        compare({"standard": folder, "other": other})
    return str(caught.value)


def test_another_data_set_is_refused(standard: Path, evaluated: Evaluated) -> None:
    other = evaluated(clean=first(18), attacked=first(2), dataset_content_sha256="00" * 32)
    said = refusal(standard, other)
    assert "'standard' and 'other' cannot be compared" in said
    assert f"dataset_content_sha256: '{'cd' * 32}' in 'standard', '{'00' * 32}' in 'other'" in said
    assert "threat:" not in said


def test_another_split_threat_and_classes_are_all_told(
    standard: Path, evaluated: Evaluated, config: EvaluateConfig
) -> None:
    changes = {"split": "validation", "threat": ThreatModel(video=6 / 255, audio=7 / 255)}
    strange = EvaluateConfig.model_validate(config.model_dump() | changes)
    names = ("blowing nose", "bowling", "playing drums", "playing tuba")
    said = refusal(standard, evaluated(clean=first(18), attacked=first(2), config=strange, class_names=names))
    assert "split: 'test' in 'standard', 'validation' in 'other'" in said
    assert "threat.video" in said
    assert "'playing tuba'" in said


def test_fewer_clips_are_refused_by_their_keys(standard: Path, evaluated: Evaluated) -> None:
    said = refusal(standard, evaluated(clean=first(18)[:16], attacked=first(2)[:16]))
    assert "clips: 4 of 20 are in 'standard' alone: 'clip_16', 'clip_17', 'clip_18', ..." in said
    assert "in 'other' alone" not in said


def test_a_training_that_differs_is_told_by_its_folder(
    standard: Path, several: tuple[Path, ...], evaluated: Evaluated
) -> None:
    other = evaluated(clean=first(18), attacked=first(2), dataset_content_sha256="00" * 32)
    assert f"'standard' and 'other' ('{other}') cannot be compared" in refusal(standard, (*several, other))


def test_no_common_attack_is_refused_with_both_lists(
    standard: Path, evaluated: Evaluated, config: EvaluateConfig
) -> None:
    another = EvaluateConfig.model_validate(config.model_dump() | {"attacks": (MIFGSM(steps=3),)})
    said = refusal(standard, evaluated(clean=first(18), attacked=first(2), config=another))
    assert "no attack is in every evaluation" in said
    assert "'standard': fgsm, pgd-5, pgd-5 margin" in said
    assert "'other': mifgsm-3" in said


def test_other_settings_of_the_evaluation_do_not_matter(
    standard: Path, evaluated: Evaluated, config: EvaluateConfig
) -> None:
    changes = {"seed": 3, "batch_size": 4, "workers": 1, "num_resamples": 50, "attacks": (FGSM(), *config.attacks[1:])}
    other = EvaluateConfig.model_validate(config.model_dump() | changes)
    compare({"standard": standard, "other": evaluated(clean=first(18), attacked=first(2), config=other)})
