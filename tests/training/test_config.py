from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.settings.load import load
from training.config import TrainConfig, ValidationConfig
from training.objectives import (
    AWP,
    CRMTAT,
    PGDAT,
    AnyObjective,
    FreeAT,
    MinSim,
    Mixup,
    Objective,
    Standard,
    TMACurriculum,
)
from training.optimization import OptimizerConfig

CONFIGS = Path(__file__).parents[2] / "pipeline" / "configs" / "train"


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_shipped_file_loads_and_opens_with_its_command(file: Path) -> None:
    load(TrainConfig, file, ["data=data", "output=output"])
    command = file.read_text().splitlines()[0]
    assert command.startswith(f"# python -m pipeline train pipeline/configs/train/{file.name}")


@pytest.mark.parametrize(
    ("name", "objective"),
    [
        ("adaptive_curriculum", TMACurriculum),
        ("awp_trades", AWP),
        ("crmt_at", CRMTAT),
        ("free_at", FreeAT),
        ("minsim", MinSim),
        ("mixed_curriculum", TMACurriculum),
        ("mixup", Mixup),
        ("pgd_at", PGDAT),
        ("standard", Standard),
        ("tma_curriculum", TMACurriculum),
    ],
)
def test_these_files_choose_these_objectives(name: str, objective: type) -> None:
    config = load(TrainConfig, CONFIGS / f"{name}.yaml", ["data=data", "output=output"])
    assert isinstance(config.objective, objective)


OBJECTIVES: tuple[type[Objective], ...] = get_args(get_args(AnyObjective)[0])


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: objective.__name__)
def test_every_objective_is_chosen_by_its_name_alone(objective: type[Objective]) -> None:
    name = objective.model_fields["name"].default
    config = load(TrainConfig, CONFIGS / "pgd_at.yaml", ["data=data", "output=output", f"objective.name={name}"])
    assert config.objective == objective.model_validate({})
    assert TrainConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["objective.name=trades", "objective.beta=3", "objective.attack.steps=7"], "10 F + 9 B"),
        (["objective.name=awp", "objective.objective.name=trades", "objective.objective.attack.steps=2"], "7 F + 6 B"),
        (["objective.name=nfgsm", "objective.noise=1", "objective.threat=l2(video=1)"], "2 F + 2 B"),
        (["objective.name=free_at", "objective.replays=8"], "8 F + 8 B"),
        (["objective.name=tma_at", "objective.crafting.sampling_ratio=0.5", "objective.attack.steps=4"], "3 F + 3 B"),
        (["objective.curriculum.attack_steps=6", "objective.curriculum.sampling_ratio=1"], "7 F + 7 B"),
        (["objective.curriculum.attack_steps={name: piecewise, points: [[0, 3], [1, 9]]}"], "1.6 F + 1.6 B"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[-1],
)
def test_an_objective_is_set_on_the_command_line(changes: list[str], expected: str) -> None:
    """By what it then costs at first per clip of ten segments: the curriculum's quarter of them is two."""
    config = load(TrainConfig, None, ["data=data", "output=output", *changes])
    assert str(config.objective.cost(progress=0.0, num_segments=10)) == expected


def test_free_training_costs_as_much_as_standard_training() -> None:
    """30 epochs of 1 pass a batch; 8 epochs of 4 replays are 32."""
    free, standard = (
        load(TrainConfig, CONFIGS / f"{name}.yaml", ["data=data", "output=output"]) for name in ("free_at", "standard")
    )
    passes = [
        config.epochs * config.objective.cost(progress=0.0, num_segments=10).forward for config in (free, standard)
    ]
    assert passes == [32, 30]


def test_every_worker_must_have_a_clip() -> None:
    TrainConfig(data="data", output="output", batch_size=5, workers=4)
    with pytest.raises(ValidationError, match="batch_size=3 leaves some of workers=4 without a clip: raise batch_size"):
        TrainConfig(data="data", output="output", batch_size=3, workers=4)


def test_statistics_are_not_frozen_at_those_of_random_weights() -> None:
    def frozen(**model: str) -> TrainConfig:
        return TrainConfig.model_validate(
            {"data": "data", "output": "output", "batch_norm": "frozen", "model": {"video_encoder": "tiny", **model}}
        )

    with pytest.raises(
        ValidationError, match=r"random weights have none: set model.audio_weights, or batch_norm=synch"
    ):
        frozen(audio_encoder="resnet18")
    with pytest.raises(ValidationError, match=r"set model.video_weights and model.audio_weights, or"):
        frozen(video_encoder="resnet18")
    frozen(audio_weights="imagenet")
    frozen(audio_encoder="vgg11")


def test_batch_normalisation_decides_the_weights_of_models_that_have_it() -> None:
    for model, decides in (("RsR", True), ("AsR", True), ("AsA", False)):
        one, other = (
            TrainConfig.model_validate({"data": "data", "output": "output", "model": model, "batch_norm": kind})
            for kind in ("synchronised", "local")
        )
        assert (one.fingerprint() != other.fingerprint()) == decides


def test_a_model_is_trained_and_measured_in_one_audio_domain() -> None:
    waveform = "linf(video=4/255, waveform=0.002)"
    for objective, validation in (
        ({"name": "pgd_at", "threat": waveform}, {}),
        ({"name": "tma_curriculum"}, {"threat": waveform}),
    ):
        with pytest.raises(
            ValidationError,
            match=r"objective.threat=linf\(.*\) is about the (\w+), validation.threat=linf\(.*\) about the (?!\1)\w+",
        ):
            TrainConfig.model_validate(
                {"data": "data", "output": "output", "objective": objective, "validation": validation}
            )


def test_a_model_is_trained_at_one_set_of_moments() -> None:
    other = "linf(video=4/255, audio=4/255, moments=other)"
    for place, changes in (
        ("objective", {"objective": {"name": "pgd_at", "threat": other}}),
        ("validation", {"validation": {"threat": other}}),
    ):
        with pytest.raises(
            ValidationError, match=rf"{place}.threat=linf\(.*moments=other\) hides .* leave moments=other"
        ):
            TrainConfig.model_validate({"data": "data", "output": "output"} | changes)
    assert "moments" not in str(TrainConfig(data="data", output="output").fingerprint())


@pytest.mark.parametrize("objective", [{"name": "standard"}, {"name": "pgd_at", "threat": "l2(waveform=1)"}], ids=str)
def test_the_threats_decide_the_audio_domain(objective: dict[str, str]) -> None:
    validation = {"threat": "linf(waveform=0.002)"}
    values = {"data": "data", "output": "output", "objective": objective}
    assert TrainConfig.model_validate(values | {"validation": validation}).audio_domain == "waveform"
    assert TrainConfig(data="data", output="output").audio_domain == "logmel"


@given(st.floats(0, 1), st.floats(0, 0.9))
def test_the_learning_rate_stays_between_zero_and_its_highest(progress: float, warmup: float) -> None:
    optimizer = OptimizerConfig(learning_rate=0.1, warmup=warmup)
    assert 0 <= optimizer.rate_at(progress) <= 0.1 + 1e-12


def test_the_learning_rate_rises_and_then_falls_to_zero() -> None:
    """Half way up at half the warm-up, highest at its end, half way down at the middle of the rest, zero at the end."""
    optimizer = OptimizerConfig(learning_rate=0.2, warmup=0.2)
    rates = [optimizer.rate_at(progress) for progress in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.1, 0.0])


def test_ties_between_epochs_are_broken_by_the_other_accuracy() -> None:
    one = {"validation/robust_accuracy": 0.5, "validation/clean_accuracy": 0.8}
    other = {"validation/robust_accuracy": 0.5, "validation/clean_accuracy": 0.9}
    robust, clean = ValidationConfig(), ValidationConfig(best_by="clean_accuracy")
    assert robust.score(other) > robust.score(one)
    assert clean.score(other) == (0.9, 0.5)


def test_only_what_decides_the_weights_must_stay_the_same() -> None:
    config = TrainConfig(data="data", output="output")
    free = {"workers": 4, "gpu": True, "loader_threads": 2, "data": "moved", "output": "elsewhere", "max_failures": 0}
    same = TrainConfig.model_validate(config.model_dump() | free)
    assert same.fingerprint() == config.fingerprint()
    for change in ({"seed": 1}, {"batch_size": 32}, {"objective": Standard()}, {"epochs": 1}):
        other = TrainConfig.model_validate(config.model_dump() | change)
        assert other.fingerprint() != config.fingerprint()
