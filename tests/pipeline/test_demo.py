"""The stages of the demo, before anything runs: `make demo` itself takes minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.demo import MODELS, DemoConfig, clips_of, evaluation_of, run_demo, training_of
from pipeline.settings.problems import ConfigError
from preprocessing.settings import flatten

DEMO = DemoConfig(output="elsewhere", seed=7, workers=4)
CHECKPOINTS = {name: Path(training_of(name, DEMO).output) / "checkpoint" for name in MODELS}


def test_each_stage_reads_what_the_one_before_it_writes() -> None:
    clips = clips_of(DEMO)
    assert str(clips.dataset.roots[0]) == "elsewhere/videos"
    for name in MODELS:
        training = training_of(name, DEMO)
        evaluation = evaluation_of(name, DEMO, CHECKPOINTS)
        assert training.data == evaluation.data == clips.output == "elsewhere/dataset"
        assert training.output == evaluation.output == f"elsewhere/{name}"
        assert evaluation.checkpoint == f"elsewhere/{name}/checkpoint"
        assert evaluation.surrogates == tuple(f"elsewhere/{other}/checkpoint" for other in MODELS if other != name)


def test_nothing_is_left_in_the_default_place() -> None:
    stages = [clips_of(DEMO), *(training_of(name, DEMO) for name in MODELS)]
    stages += [evaluation_of(name, DEMO, CHECKPOINTS) for name in MODELS]
    for stage in stages:
        assert not [key for key, value in flatten(stage).items() if "runs/demo" in str(value)]


@pytest.mark.parametrize("name", MODELS)
def test_seed_and_workers_reach_every_stage(name: str) -> None:
    assert flatten(clips_of(DEMO))["dataset.seed"] == 7
    for stage in (training_of(name, DEMO), evaluation_of(name, DEMO, CHECKPOINTS)):
        assert (stage.seed, stage.workers) == (7, 4)


def test_both_models_are_attacked_alike_and_have_one_architecture() -> None:
    one, other = (evaluation_of(name, DEMO, CHECKPOINTS) for name in MODELS)
    assert one.fingerprint() | {"surrogates": None} == other.fingerprint() | {"surrogates": None}
    assert training_of(MODELS[0], DEMO).model == training_of(MODELS[1], DEMO).model


def test_settings_that_no_training_takes_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size=32 leaves some of workers=33 without a clip"):
        run_demo(DemoConfig(output=str(tmp_path / "demo"), workers=33))
    assert not list(tmp_path.iterdir())
