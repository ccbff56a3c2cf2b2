from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from evaluation.config import EvaluateConfig, attack_label
from training.attacks import FGSM, PGD, TMA, MinimalBudget, WorstCase

PLACES = {"checkpoint": "model", "data": "dataset", "output": "report"}
CONFIGS = Path(__file__).parents[2] / "pipeline" / "configs" / "evaluate"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_file_loads(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# python -m pipeline evaluate pipeline/configs/evaluate/")
    EvaluateConfig.model_validate(PLACES | yaml.safe_load(text))


def test_the_default_list_has_single_step_iterative_margin_and_feature_attacks() -> None:
    labels = [attack_label(attack) for attack in EvaluateConfig(**PLACES).attacks]
    assert labels == ["fgsm", "pgd-20", "pgd-20 margin", "mifgsm-10", "tia-10", "mma-10", "tma-10"]


def test_a_label_names_what_differs_from_the_default() -> None:
    assert attack_label(FGSM()) == "fgsm"
    assert attack_label(PGD(steps=7, random_start=False)) == "pgd-7 random_start False"
    assert attack_label(TMA(temporal_weight=0.5)) == "tma-10 temporal_weight 0.5"
    assert attack_label(WorstCase(attacks=(FGSM(), PGD(loss="margin")))) == "worst_case fgsm pgd-10_margin"
    assert attack_label(MinimalBudget(attack=PGD(steps=7), rounds=4)) == "minimal_budget pgd-7 rounds 4"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attacks": [{"name": "fgsm"}, {"name": "fgsm"}]}, "fgsm is listed more than once"),
        ({"attacks": []}, "at least 1"),
        ({"curve": [1.0, 0.5]}, "factors must rise"),
        ({"threat": "linf(video=0, audio=0)"}, "both epsilons are 0"),
        ({"workers": 0}, "greater than 0"),
        ({"atacks": []}, "Extra inputs"),
    ],
)
def test_a_mistake_says_what_to_change(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EvaluateConfig.model_validate(PLACES | changes)
