"""The files of the paper's experiments: each changes what it says, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.transfer.config import TransferConfig
from pipeline.settings.load import load
from training.config import TrainConfig
from training.objectives import TMACurriculum

PAPER = Path(__file__).parents[2] / "pipeline" / "configs" / "paper"
MODELS = ("AcA", "AcR", "AsA", "AsR", "RcA", "RcR", "RsA", "RsR")
CURRICULA = ("curriculum", "curriculum_cosine", "curriculum_constant", "curriculum_constant_asynchronous")
PEERS = ("standard", "minsim", "mixup", "crmt_at", "pgd_at", "tma_at")
PLACES = ("data=data", "output=output")
MOMENTS = [moment / 1000 for moment in range(1001)]


def training(name: str, *changes: str) -> TrainConfig:
    return load(TrainConfig, PAPER / "train" / f"{name}.yaml", [*PLACES, *changes])


def without(config: TrainConfig, name: str) -> dict[str, object]:
    return config.model_dump(exclude={name})


def test_one_word_chooses_each_of_the_eight_models() -> None:
    found = {name: training("standard", f"model={name}") for name in MODELS}
    assert [str(config.model) for config in found.values()] == list(MODELS)
    assert all(without(config, "model") == without(training("standard"), "model") for config in found.values())
    text = (PAPER / "train" / "standard.yaml").read_text()
    assert all(name in text for name in MODELS)


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_differs_from_the_curriculum_in_its_method_alone(peer: str) -> None:
    config = training("defence", f"objective.name={peer}")
    assert config.objective == type(config.objective)()
    assert config.objective.name == peer
    assert without(config, "objective") == without(training("curriculum"), "objective")


@pytest.mark.parametrize("name", CURRICULA)
def test_schedulers_differ_in_the_curriculum_alone_and_cost_the_same(name: str) -> None:
    """Over a training each takes the mean of the straight line from 1 to 5 steps, but for rounding to whole ones."""
    config, linear = training(name), training("curriculum")
    assert without(config, "objective") == without(linear, "objective")
    assert isinstance(config.objective, TMACurriculum)
    assert config.objective.model_dump(exclude={"curriculum"}) == linear.objective.model_dump(exclude={"curriculum"})
    curriculum = config.objective.curriculum
    for value, mean in (("attack_steps", 3), ("sampling_ratio", 0.25), ("mask_ratio", 0.15), ("dropout_ratio", 0.15)):
        found = sum(curriculum.at(moment)[value] for moment in MOMENTS) / len(MOMENTS)
        assert found == pytest.approx(mean, rel=0.01), value
    assert curriculum.masking == ("asynchronous" if "asynchronous" in name else "synchronous")


def test_the_sampling_ratio_is_one_word_of_the_curriculum() -> None:
    wide, narrow = (training("curriculum", f"objective.curriculum.sampling_ratio={ratio}") for ratio in (0.4, 0.25))
    assert narrow == training("curriculum")
    costs = [config.objective.cost(progress=1.0, num_segments=10).forward for config in (wide, narrow)]
    assert costs == pytest.approx([5 * 0.4 + 1, 5 * 0.2 + 1])


@pytest.mark.parametrize("name", ["attack_comparison", "ensembles", "iterations"])
def test_transfers_are_measured_between_all_models_white_box_included(name: str) -> None:
    folders = ", ".join(f"runs/{model}/checkpoint" for model in MODELS)
    config = load(
        TransferConfig, PAPER / "transfer" / f"{name}.yaml", [f"checkpoint=[{folders}]", "data=data", "output=output"]
    )
    singles = [each for each in config.surrogates if each.kind == "single"]
    others = [each for each in config.surrogates if each.kind != "single"]
    assert [each.name for each in singles] == list(MODELS) == list(config.victims)
    assert [len(each.members) for each in others] == ([7] * 8 if name == "ensembles" else [])
    assert config.baseline_name == "mifgsm-10"


def test_iterations_are_the_same_for_every_attack() -> None:
    file = PAPER / "transfer" / "iterations.yaml"
    config = load(TransferConfig, file, ["checkpoint=[one, other]", "data=data", "output=output"])
    steps: dict[str, list[int]] = {}
    for attack in config.attacks:
        steps.setdefault(attack.name, []).append(getattr(attack, "steps", 0))
    assert set(steps) == {"ifgsm", "mifgsm", "tia", "mma", "tma"}
    assert all(each == [1, 2, 5, 10, 20, 50] for each in steps.values())
