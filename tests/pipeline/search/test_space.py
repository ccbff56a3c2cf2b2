from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.search.space import AnyDistribution, Choice, LogUniform, RandInt, Uniform, check_space
from pipeline.search.tune import TuneConfig
from pipeline.settings.load import ConfigError, load
from training.config import TrainConfig

TRAIN = TrainConfig(data="data", output="output")


def samples(distribution: Uniform | LogUniform | RandInt | Choice) -> list[object]:
    return [distribution.domain().sample() for _ in range(200)]


def test_draws_lie_where_the_distribution_says() -> None:
    assert all(0.1 <= float(str(each)) <= 0.2 for each in samples(Uniform(low=0.1, high=0.2)))
    assert all(1e-4 <= float(str(each)) <= 1e-2 for each in samples(LogUniform(low=1e-4, high=1e-2)))
    assert set(samples(RandInt(low=3, high=5))) == {3, 4, 5}
    assert set(samples(Choice(values=("a", 1, None)))) == {"a", 1, None}


def test_bounds_may_be_fractions() -> None:
    assert Uniform.model_validate({"low": "2/255", "high": "8/255"}) == Uniform(low=2 / 255, high=8 / 255)


def test_an_empty_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="low must be below high, got low=2 and high=1"):
        Uniform(low=2, high=1)


@pytest.mark.parametrize("key", ["validation.threat.video", "validation.limit", "epochs", "data", "workers"])
def test_what_makes_trials_comparable_cannot_be_searched(key: str) -> None:
    with pytest.raises(ValueError, match=f"{key}: all trials have the same '{key.split('.')[0]}'"):
        check_space({key: RandInt(low=1, high=2)}, TRAIN)


def test_every_value_must_be_one_that_the_training_takes() -> None:
    space: dict[str, AnyDistribution] = {
        "objective.attack.stepz": RandInt(low=1, high=2),
        "optimizer.learning_rate": Choice(values=(1e-3, -1)),
        "batch_size": Uniform(low=8, high=64),
        "objective.threat.video": Uniform(low=0, high=1),
    }
    with pytest.raises(ValueError, match="cannot be searched") as caught:
        check_space(space, TRAIN)
    text = str(caught.value)
    assert "objective.attack.stepz: unknown setting; the nearest is 'objective.attack.steps'" in text
    assert "optimizer.learning_rate: got -1; allowed: greater than 0" in text
    assert "batch_size: got 42.608" in text
    assert "objective.threat.video" not in text


def test_another_objective_may_be_a_choice() -> None:
    check_space({"objective.name": Choice(values=("standard", "pgd_at", "tma_curriculum"))}, TRAIN)


def test_problems_in_a_search_file_name_the_setting(tmp_path: Path) -> None:
    file = tmp_path / "tune.yaml"
    file.write_text("train: {epochs: 0}\nspace: {optimizer.learning_rate: {name: uniform, low: 1, high: 0}}\n")
    with pytest.raises(ConfigError) as caught:
        load(TuneConfig, file, ["data=a", "output=b"])
    assert caught.value.problems == (
        "train.epochs: got 0; allowed: greater than 0",
        "space.optimizer.learning_rate: low must be below high, got low=1 and high=0",
    )
