from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from evaluation.attack_lists import ATTACK_LISTS, attack_label
from evaluation.config import EvaluateConfig, surrogate_names
from training.attacks import FGSM, MIFGSM, PGD, TMA, AnyAttack, MinimalBudget, WorstCase
from training.attacks.engine.input_transforms import DiverseInputs, ScaledInputs

PLACES = {"checkpoint": "model", "data": "dataset", "output": "report"}
CONFIGS = Path(__file__).parents[2] / "pipeline" / "configs" / "evaluate"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_file_loads(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# python -m pipeline evaluate pipeline/configs/evaluate/")
    EvaluateConfig.model_validate(PLACES | yaml.safe_load(text))


def test_the_default_list_has_single_step_iterative_margin_feature_and_transfer_attacks() -> None:
    labels = [attack_label(attack) for attack in EvaluateConfig(**PLACES).attacks]
    assert labels == [
        "fgsm",
        "pgd-20",
        "pgd-20 margin",
        "apgd-30 margin",
        "mifgsm-10",
        "tia-10",
        "mma-10",
        "tma-10",
        "tsi-10",
        "square queries 300",
    ]


def test_a_label_names_what_differs_from_the_default() -> None:
    assert attack_label(FGSM()) == "fgsm"
    assert attack_label(PGD(steps=7, random_start=False)) == "pgd-7 random_start False"
    assert attack_label(TMA(temporal_weight=0.5)) == "tma-10 temporal_weight 0.5"
    assert attack_label(WorstCase(attacks=(FGSM(), PGD(loss="margin")))) == "worst_case fgsm pgd-10_margin"
    assert attack_label(MinimalBudget(attack=PGD(steps=7), rounds=4)) == "minimal_budget pgd-7 rounds 4"
    diverse = MIFGSM(input_transforms=(DiverseInputs(smallest=0.8), ScaledInputs()))
    assert attack_label(diverse) == "mifgsm-10 di_smallest_0.8 si"


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
    ("folders", "names"),
    [
        ((), ()),
        (("runs/a/checkpoint", "runs/b/checkpoint"), ("a", "b")),
        (("runs/a/best", "runs/b/last/"), ("best", "last")),
        (("/x/my model (2)",), ("surrogate",)),
        (("/x/my model (2)", "/x/other"), ("my_model__2_", "other")),
        (("/x/a b", "/x/a_b"), ("x-a_b-1", "x-a_b-2")),
    ],
)
def test_surrogates_have_names_that_tell_them_apart(folders: tuple[str, ...], names: tuple[str, ...]) -> None:
    """As much of the end of each path as it takes, in letters, digits and `_ - .`; numbered if nothing else helps."""
    assert surrogate_names(folders) == names


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attacks": [{"name": "fgsm"}, {"name": "fgsm"}]}, "fgsm is listed more than once"),
        ({"attacks": []}, "at least 1"),
        ({"curve_attacks": ["pgd", "pgd"]}, "curve_attacks: pgd-10 is listed more than once"),
        ({"curve": [1.0, 0.5]}, "factors must rise"),
        ({"threat": "linf(video=0, audio=0)"}, "both epsilons are 0"),
        ({"workers": 0}, "greater than 0"),
        ({"atacks": []}, "Extra inputs"),
        ({"surrogates": ["runs/a", "runs/a/"]}, "surrogates: runs/a is listed more than once"),
        ({"eot_samples": 0}, "greater than 0"),
        ({"attacks": ["pgd", "cw"]}, r"'cw' is no attack \(Carlini and Wagner's loss: {name: pgd, loss: margin}\)"),
        ({"attacks": "strong"}, r"'strong' is no list of attacks \(default, quick, standard, paper\)"),
        ({"attacks": "pgd"}, r"one attack alone is written \[pgd\]"),
        ({"reference_attack": "auto"}, "'auto' is no attack; allowed: apgd, apgdt, fab"),
        ({"threat": 8}, r"write 'linf\(video=8/255, audio=8/255\)'"),
        ({"threat": "linf(video=8)"}, r"video=8 is wider than all values .* \[0, 1\]; .* written 8/255"),
        ({"threat": "linf(waveform=3)"}, r"audio=3 is wider than all values .* \[-1, 1\]"),
        ({"threat": "linf(video=4/255, segments=5-3)"}, "'5-3' runs backwards; write 3-5"),
        ({"gpus_per_worker": 0}, "greater than 0"),
    ],
)
def test_a_mistake_says_what_to_change(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EvaluateConfig.model_validate(PLACES | changes)


def test_an_attack_may_be_given_by_its_name_and_a_list_by_its_own() -> None:
    named = EvaluateConfig.model_validate(PLACES | {"attacks": ["pgd", {"name": "tma", "steps": 3}]})
    assert named.attacks == (PGD(), TMA(steps=3))
    assert EvaluateConfig.model_validate(PLACES | {"attacks": "standard"}).attacks == ATTACK_LISTS["standard"]
    assert EvaluateConfig.model_validate(PLACES | {"curve_attacks": "quick"}).curve_attacks == ATTACK_LISTS["quick"]
    assert EvaluateConfig.model_validate(PLACES | {"curve_attacks": []}).curve_attacks == ()


@pytest.mark.parametrize("name", ATTACK_LISTS)
def test_every_list_holds_a_one_step_an_iterative_and_a_gradient_free_attack(name: str) -> None:
    costs = [attack.cost.backward for attack in EvaluateConfig.model_validate(PLACES | {"attacks": name}).attacks]
    assert 1 in costs
    assert max(costs) > 1
    assert costs[-1] == 0


def test_the_standard_list_has_autoattacks_full_settings() -> None:
    """Croce & Hein 2020, Section 6: 100 steps, 9 target classes, 5,000 queries."""
    labels = [attack_label(attack) for attack in ATTACK_LISTS["standard"]]
    assert labels[-4:] == ["apgd-100", "apgdt-100", "fab-100", "square"]


def test_where_an_evaluation_runs_decides_none_of_its_numbers() -> None:
    here = EvaluateConfig.model_validate(PLACES)
    there = EvaluateConfig.model_validate(PLACES | {"workers": 7, "gpu": True, "gpus_per_worker": 0.5})
    other = EvaluateConfig.model_validate(PLACES | {"batch_size": 5})
    assert here.fingerprint() == there.fingerprint() != other.fingerprint()
