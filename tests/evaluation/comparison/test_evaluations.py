from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluation.comparison.evaluations import CLEAN, WORST_CASE, Evaluation, named, read_methods
from evaluation.config import EvaluateConfig
from evaluation.reporting.report import Report
from evaluation.stored.certificates import CERTIFICATES_NAME, Certificates
from preprocessing.errors import DataError, PlaceError, SettingsError
from tests.evaluation.comparison.conftest import Evaluated, first


def test_outcomes_are_in_the_order_of_the_keys(standard: Path) -> None:
    """Keys are sorted as text: clip_0, clip_1, clip_10, ..., clip_19, clip_2, ...; the first two withstand."""
    evaluation = Evaluation.read(standard)
    attacks = ["fgsm", "pgd-5"]
    assert evaluation.is_right(WORST_CASE, attacks).nonzero()[0].tolist() == [0, 1]
    assert (~evaluation.is_right(CLEAN, attacks)).nonzero()[0].tolist() == [10, 11]  # clip_18, clip_19
    assert evaluation.labels["clip_7"] == 3


def test_one_evaluation_alone_is_refused(standard: Path) -> None:
    with pytest.raises(SettingsError, match="got 1 methods; at least two"):
        read_methods({"standard": (standard,)})


def test_a_folder_without_a_report_is_told(standard: Path, tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="holds no finished evaluation"):
        read_methods({"standard": (standard,), "other": (tmp_path,)})


def test_certificates_of_another_report_are_refused(standard: Path, robust: Path, tmp_path: Path) -> None:
    shutil.copytree(standard, tmp_path / "mixed")
    shutil.copy(robust / CERTIFICATES_NAME, tmp_path / "mixed" / CERTIFICATES_NAME)
    with pytest.raises(DataError, match=r"is not the file that the report beside it was made from.*verify"):
        Evaluation.read(tmp_path / "mixed")


def test_the_same_model_twice_is_no_second_training(standard: Path, robust: Path, tmp_path: Path) -> None:
    shutil.copytree(robust, tmp_path / "copy")
    for again in (robust, tmp_path / "copy"):
        with pytest.raises(DataError, match=r"'robust': .* measured the same model"):
            read_methods({"standard": (standard,), "robust": (robust, again)})


def test_trainings_by_other_objectives_are_no_one_method(standard: Path, robust: Path, evaluated: Evaluated) -> None:
    other = evaluated(clean=first(16), attacked=first(9), objective="trades")
    with pytest.raises(DataError, match=r"different objectives \(tma_curriculum, trades\)"):
        read_methods({"standard": (standard,), "robust": (robust, other)})


def test_folders_are_called_by_their_last_part() -> None:
    assert named(["runs/a", Path("runs/b")]) == {"a": ("runs/a",), "b": (Path("runs/b"),)}
    assert named({"x": "runs/a", "y": ["b", "c"]}) == {"x": ("runs/a",), "y": ("b", "c")}
    with pytest.raises(SettingsError, match=r"'one/report' and 'two/report' are both called 'report': name them"):
        named(["one/report", "two/report"])


def test_a_clip_withstands_a_threat_if_it_withstands_all_attacks_inside_it(
    hand_made: Callable[..., Certificates],
    summarised: Callable[[Certificates, EvaluateConfig], Report],
    config: EvaluateConfig,
) -> None:
    """Four clips: frames alone cost clip 0, a quarter of the budget costs clip 1, the list costs clip 2."""
    config = EvaluateConfig.model_validate(config.model_dump() | {"curve": (0.25, 1.0)})
    predictions = {
        "clean": [0, 1, 2, 3],
        "else": [0, 1, 2, 3],
        "pgd-5 margin linf(video=7/255, audio=0)": [1, 1, 2, 3],
        "pgd-5 linf(video=1.75/255, audio=1.75/255)": [0, 0, 2, 3],
        "fgsm": [0, 1, 3, 3],
    }
    certificates = hand_made(config, predictions)
    evaluation = Evaluation("folder", summarised(certificates, config), certificates)
    assert evaluation.withstands_all(config.threat).tolist() == [False, False, False, True]
    assert evaluation.withstands_all(config.threat.scaled(0.25)).tolist() == [True, False, True, True]
    assert evaluation.withstands_all(config.threat.only("video")).tolist() == [False, True, True, True]
