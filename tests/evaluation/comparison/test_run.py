"""From folders to files."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from evaluation.comparison import compare
from evaluation.comparison.run import COMPARISON_NAME, COMPARISON_PAGE_NAME, FILES
from preprocessing.errors import PlaceError


def test_every_file_is_written_and_told(
    standard: Path, robust: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        compare({"standard": standard, "robust": robust}, tmp_path / "out")
    written = {file.name for file in (tmp_path / "out").iterdir()}
    assert written == FILES.keys() - {"model_card"} | {"model_card_1.md", "model_card_2.md"}
    for name in written:
        assert f"  {name}: " in caplog.text


def test_the_record_is_by_method_and_keeps_its_names(standard: Path, robust: Path, tmp_path: Path) -> None:
    compare({"standard": standard, "ü_%\n": robust}, tmp_path)
    stored = json.loads((tmp_path / COMPARISON_NAME).read_text())
    assert list(stored) == ["standard", "ü_%\n"]
    for entry in stored.values():
        assert {"clean_accuracy", "worst_case_robust_accuracy", "attacks", "threat", "withheld"} <= entry.keys()
        for attack in entry["attacks"]:
            assert {"name", "threat", "robust_accuracy", "attack_success_rate"} <= attack.keys()
    assert (stored["standard"]["clean_accuracy"], stored["standard"]["worst_case_robust_accuracy"]) == (0.9, 0.1)


def test_the_same_evaluations_give_the_same_bytes(standard: Path, several: tuple[Path, ...], tmp_path: Path) -> None:
    for folder in ("one", "two"):
        compare({"standard": standard, "robust": several}, tmp_path / folder, num_resamples=100, seed=4)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_nothing_is_written_without_a_folder_and_folders_may_stand_alone(standard: Path, robust: Path) -> None:
    comparison = compare([standard, robust])
    assert list(comparison.methods) == [standard.name, robust.name]


def test_cards_of_an_earlier_comparison_are_removed(standard: Path, robust: Path, masked: Path, tmp_path: Path) -> None:
    compare({"a": standard, "b": robust, "c": masked}, tmp_path)
    assert (tmp_path / "model_card_3.md").exists()
    compare({"a": standard, "b": robust}, tmp_path)
    assert not (tmp_path / "model_card_3.md").exists()
    assert (tmp_path / COMPARISON_PAGE_NAME).exists()


def test_a_place_that_is_no_folder_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for output in (tmp_path / "file", "s3://bucket/out"):
        with pytest.raises(PlaceError, match="output="):
            compare({"a": tmp_path, "b": tmp_path}, output)
