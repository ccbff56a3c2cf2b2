from __future__ import annotations

import pytest

from evaluation.transfer.config import NamedModel, TransferConfig
from preprocessing.settings import flatten
from tests.evaluation.transfer.hand_made import config_of


def test_checkpoints_are_named_by_what_tells_them_apart() -> None:
    config = config_of(checkpoint=["runs/x/checkpoint", "runs/y/checkpoint"], models={"theirs": {"model": "m:f"}})
    assert config.named_models == {
        "x": NamedModel(checkpoint="runs/x/checkpoint"),
        "y": NamedModel(checkpoint="runs/y/checkpoint"),
        "theirs": NamedModel(model="m:f"),
    }
    assert config.victims == ("x", "y", "theirs")


def test_a_single_checkpoint_is_named_by_its_folder_and_may_stand_without_brackets() -> None:
    assert list(config_of(checkpoint="runs/x", models={"y": "runs/y"}).named_models) == ["x", "y"]


def test_settings_come_back_from_their_plain_values() -> None:
    config = config_of(ensembles=["leave_one_out", ["A", "B"]], crafted_on=["A", "B", "C"])
    assert TransferConfig.model_validate(config.model_dump(mode="json")) == config


def test_attacks_are_named_without_steps_where_a_budget_gives_them() -> None:
    attacks = [{"name": "mifgsm", "steps": 5}, {"name": "mifgsm", "momentum": 0.5}]
    assert list(config_of(attacks=attacks).named_attacks) == ["mifgsm", "mifgsm momentum 0.5"]
    assert list(config_of(attacks=attacks, budget=None).named_attacks) == ["mifgsm-5", "mifgsm-10 momentum 0.5"]


def test_the_baseline_is_the_first_attack_unless_another_is_named() -> None:
    assert config_of().baseline_name == "mifgsm"
    assert config_of(baseline="tma").baseline_name == "tma"


def test_the_fingerprint_leaves_out_what_decides_no_outcome() -> None:
    config = config_of()
    for name, value in {"workers": 7, "output": "o", "num_resamples": 9, "baseline": "tma", "gpu": False}.items():
        assert config_of(**{name: value}).fingerprint() == config.fingerprint(), name
    changes = {"seed": 1, "budget": 30, "limit": 3, "batch_size": 5, "threat": "linf(video=1/255)", "attacks": ["fgsm"]}
    for name, value in changes.items():
        assert config_of(**{name: value}).fingerprint() != config.fingerprint(), name
    assert not any(key.startswith(("models", "checkpoint", "data", "output")) for key in flatten(config.fingerprint()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": {"A": "runs/a"}}, "got 1 models; at least two are needed"),
        ({"models": {"A": "runs/a", "B+C": "runs/b"}}, r"'B\+C' is no name; allowed: letters, digits, _ - ."),
        ({"checkpoint": ["runs/A"]}, "A is the name of a folder of checkpoint, too"),
        ({"models": {"A": "runs/a", "B": {}}}, "give checkpoint=DIR, or model=package.module:factory"),
        ({"models": {"A": "runs/a", "B": {"checkpoint": "b", "model": "m:f"}}}, "give checkpoint=DIR, or model="),
        ({"models": {"A": "runs/a", "B": {"checkpoint": "b", "weights": "w"}}}, "weights and model_input are for"),
        ({"ensembles": [["A"]]}, r"\['A'\] is no ensemble; list two models or more"),
        ({"ensembles": [["A", "D"]]}, "ensembles: no model is called D; allowed: A, B, C"),
        ({"ensembles": [["A", "A"]]}, "ensembles: A is listed more than once"),
        ({"ensembles": [["A", "B"], ["B", "A"]]}, r"ensembles: \('A', 'B'\) is listed more than once"),
        ({"ensembles": ["leave_one_out"], "crafted_on": ["A", "B"]}, "leave_one_out needs two models beside each"),
        ({"ensembles": ["leave_two_out"]}, "ensembles.0"),
        ({"crafted_on": ["X"]}, "crafted_on: no model is called X"),
        ({"tried_on": ["A", "A"]}, "tried_on: A is listed more than once"),
        ({"attacks": ["mifgsm", {"name": "mifgsm", "steps": 3}]}, "steps follow from budget and do not tell them"),
        ({"attacks": ["fgsm", "fgsm"], "budget": None}, "attacks: 1 listed more than once; remove"),
        ({"baseline": "pgd"}, "baseline: 'pgd' is no attack of the list; allowed: mifgsm, tma"),
        ({"threat": "linf(video=0)"}, "both epsilons are 0"),
        (
            {"attacks": ["pam", "mig"], "budget": 30, "ensembles": ["leave_one_out"]},
            "pam on 2 models together takes 66 passes.*; one of the steps of mig on 2 models together takes 40 passes.*"
            "raise budget, or leave out the attack or the ensemble",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config_of(**changes)
