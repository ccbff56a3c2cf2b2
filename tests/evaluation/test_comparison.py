from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from evaluation.certificates import CERTIFICATES_NAME, Certificates
from evaluation.comparison import COMPARISON_NAME, COMPARISON_PAGE_NAME, compare
from evaluation.config import EvaluateConfig
from evaluation.report import Report

HandMade = Callable[..., Certificates]
Summarised = Callable[[Certificates, EvaluateConfig], Report]


@pytest.fixture
def evaluation(
    hand_made: HandMade, summarised: Summarised, config: EvaluateConfig, tmp_path: Path
) -> Callable[..., Path]:
    """Write an evaluation with given predictions of 20 clips and hand back its folder."""

    def make(name: str, *, clean: list[int], attacked: list[int], config: EvaluateConfig = config) -> Path:
        wrong = [(number + 1) % 4 for number in range(len(clean))]
        predictions = {
            "clean": clean,
            "else": attacked,
            "pgd-5 linf(video=0, audio=0)": clean,
            "pgd-5 linf(video=28/255, audio=28/255)": wrong,
            "pgd-5 linf(video=1, audio=1)": wrong,
        }
        certificates = hand_made(config, predictions)
        folder = tmp_path / name
        folder.mkdir()
        certificates.write(folder / CERTIFICATES_NAME)
        summarised(certificates, config).write(folder)
        return folder

    return make


def predictions(right: int) -> list[int]:
    """Labels of the first `right` of 20 clips, another class for the rest."""
    return [number % 4 if number < right else (number + 1) % 4 for number in range(20)]


def test_models_stand_side_by_side(evaluation: Callable[..., Path], tmp_path: Path) -> None:
    """Clean 18 against 16 of 20, worst case 2 against 12: a gain of 10 clips, 0.5, all on clips that only one holds."""
    folders = {
        "standard": evaluation("standard", clean=predictions(18), attacked=predictions(2)),
        "robust": evaluation("robust", clean=predictions(16), attacked=predictions(12)),
    }
    comparison = compare(folders, tmp_path / "out")
    stored = json.loads((tmp_path / "out" / COMPARISON_NAME).read_text())
    assert list(stored) == ["standard", "robust"]
    for entry in stored.values():
        assert {"clean_accuracy", "worst_case_robust_accuracy", "attacks", "threat"} <= entry.keys()
        for attack in entry["attacks"]:
            assert {"name", "threat", "robust_accuracy", "attack_success_rate"} <= attack.keys()
    assert (stored["standard"]["clean_accuracy"], stored["standard"]["worst_case_robust_accuracy"]) == (0.9, 0.1)
    assert (stored["robust"]["clean_accuracy"], stored["robust"]["worst_case_robust_accuracy"]) == (0.8, 0.6)
    gain = comparison.models["robust"].gain
    assert gain is not None
    assert comparison.models["standard"].gain is None
    assert gain.over == "standard"
    assert gain.clean_accuracy == pytest.approx(-0.1)
    assert gain.worst_case_robust_accuracy == pytest.approx(0.5)
    assert gain.worst_case_robust_accuracy_interval is not None
    low, high = gain.worst_case_robust_accuracy_interval
    assert 0.2 < low < 0.5 < high < 0.8


def test_the_table_has_a_column_per_model(evaluation: Callable[..., Path], tmp_path: Path) -> None:
    folders = {
        "standard": evaluation("standard", clean=predictions(18), attacked=predictions(2)),
        "robust": evaluation("robust", clean=predictions(16), attacked=predictions(12)),
    }
    console = Console(width=120)
    with console.capture() as capture:
        console.print(compare(folders, tmp_path / "out").table())
    text = capture.get()
    for words in ("standard", "robust", "clean", "fgsm", "pgd-5 margin", "worst case", "10.0 %", "60.0 %", "+50.0"):
        assert words in text


def test_the_page_is_self_contained(evaluation: Callable[..., Path], tmp_path: Path) -> None:
    folders = {
        "<standard>": evaluation("standard", clean=predictions(18), attacked=predictions(2)),
        "robust": evaluation("robust", clean=predictions(16), attacked=predictions(12)),
    }
    compare(folders, tmp_path / "out")
    text = (tmp_path / "out" / COMPARISON_PAGE_NAME).read_text()
    assert "&lt;standard&gt;" in text
    assert "<standard>" not in text
    assert text.count('src="data:image/svg+xml;base64,') == 2
    assert "://" not in text
    assert text.count("trained by tma_curriculum with a version not recorded") == 2
    assert text.count("measured with robust-audio-visual 1.2.3 (abababababab) on a processor") == 2


def test_a_withheld_number_stays_withheld(
    evaluation: Callable[..., Path], tmp_path: Path, config: EvaluateConfig
) -> None:
    """The attack at four times the budget fools nobody, and at the budget 8 of 20: masking."""
    strange = EvaluateConfig.model_validate(config.model_dump() | {"curve": [0.0, 1.0, 2.0]})
    folders = {
        "standard": evaluation("standard", clean=predictions(18), attacked=predictions(2), config=strange),
        "robust": evaluation("robust", clean=predictions(20), attacked=predictions(20), config=strange),
    }
    masked = Report.read(folders["robust"]).model_dump()
    withheld = {"worst_case_robust_accuracy": 1.0, "worst_case_robust_accuracy_interval": (0.8, 1.0), "reasons": ["x"]}
    masked |= dict.fromkeys(("worst_case_robust_accuracy", "worst_case_robust_accuracy_interval"))
    Report.model_validate(masked | {"withheld": withheld}).write(folders["robust"])
    comparison = compare(folders, tmp_path / "out")
    robust = comparison.models["robust"]
    assert robust.worst_case_robust_accuracy is None
    assert robust.gain is not None
    assert robust.gain.worst_case_robust_accuracy is None
    console = Console(width=120)
    with console.capture() as capture:
        console.print(comparison.table())
    assert "withheld" in capture.get()


def test_different_settings_cannot_be_compared(
    evaluation: Callable[..., Path], tmp_path: Path, config: EvaluateConfig
) -> None:
    fewer = EvaluateConfig.model_validate(config.model_dump() | {"attacks": config.attacks[:2]})
    folders = {
        "standard": evaluation("standard", clean=predictions(18), attacked=predictions(2)),
        "robust": evaluation("robust", clean=predictions(16), attacked=predictions(12), config=fewer),
    }
    with pytest.raises(ValueError, match=r"'standard' and 'robust' cannot be compared(.|\n)*attacks"):
        compare(folders, tmp_path / "out")
