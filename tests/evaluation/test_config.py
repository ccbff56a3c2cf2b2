from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from evaluation.config import EvaluateConfig, attack_label
from training.attacks import FGSM, PGD, TMA, AnyAttack, MinimalBudget, WorstCase

PLACES = {"checkpoint": "model", "data": "dataset", "output": "report"}
CONFIGS = Path(__file__).parents[2] / "pipeline" / "configs" / "evaluate"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_file_loads(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# python -m pipeline evaluate pipeline/configs/evaluate/")
    EvaluateConfig.model_validate(PLACES | yaml.safe_load(text))


def test_the_default_list_has_single_step_iterative_margin_and_feature_attacks() -> None:
    labels = [attack_label(attack) for attack in EvaluateConfig(**PLACES).attacks]
    assert labels == ["fgsm", "pgd-20", "pgd-20 margin", "apgd-30 margin", "mifgsm-10", "tia-10", "mma-10", "tma-10"]


def test_a_label_names_what_differs_from_the_default() -> None:
    assert attack_label(FGSM()) == "fgsm"
    assert attack_label(PGD(steps=7, random_start=False)) == "pgd-7 random_start False"
    assert attack_label(TMA(temporal_weight=0.5)) == "tma-10 temporal_weight 0.5"
    assert attack_label(WorstCase(attacks=(FGSM(), PGD(loss="margin")))) == "worst_case fgsm pgd-10_margin"
    assert attack_label(MinimalBudget(attack=PGD(steps=7), rounds=4)) == "minimal_budget pgd-7 rounds 4"


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        ({"name": "pgd", "loss": "margin"}, "pgd-10 margin"),
        ({"name": "pgd", "restarts": 3, "step_size": 0.25}, "pgd-10 step_size 0.25 restarts 3"),
        ({"name": "fgsm", "target": "least_likely"}, "fgsm least_likely"),
        ({"name": "tma", "steps": 5, "sharing": {"segments": 4}}, "tma-5 sharing segments 4"),
        ({"name": "mma", "sharing": {"segments": 2, "of": "perturbation"}}, "mma-10 sharing segments 2 perturbation"),
    ],
)
def test_a_label_names_settings_inside_settings_and_words_alone(settings: dict[str, Any], label: str) -> None:
    assert attack_label(TypeAdapter(AnyAttack).validate_python(settings)) == label


def test_labels_can_name_metrics() -> None:
    """MLflow allows letters, digits, `_ - . /`, colons and spaces."""
    attack = TypeAdapter(AnyAttack).validate_python(
        {"name": "tma", "temporal_weight": 1e-7, "sharing": {"segments": 4, "of": "perturbation"}, "target": "random"}
    )
    assert re.fullmatch(r"[\w\-. ]+", attack_label(attack))


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
