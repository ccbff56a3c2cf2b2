"""The stages of the demo, before anything runs: `make demo` itself takes minutes."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from pipeline.commands import main
from pipeline.demo import MODELS, DemoConfig, clips_of, evaluation_of, next_steps, run_demo, training_of
from pipeline.settings.load import load
from pipeline.settings.problems import ConfigError
from preprocessing.config import PreprocessConfig
from preprocessing.settings import flatten
from tests.small_checkpoint import write_checkpoint
from tests.tiny_video import write_tiny_video
from training.config import TrainConfig

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


def commands_of(text: str) -> list[list[str]]:
    """The words of the commands that are printed, as a shell splits them."""
    return [shlex.split(line) for line in text.splitlines() if " -m pipeline " in line]


def test_the_next_steps_are_commands_of_this_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Paths are seen from the folder in which the demo ran; a name with a space is quoted."""
    monkeypatch.chdir(tmp_path)
    own_preprocess, own_train, classify = commands_of(next_steps(DemoConfig(output=str(tmp_path / "my runs/demo"))))
    assert own_preprocess[1:4] == ["-m", "pipeline", "preprocess"]
    assert own_preprocess[5:] == ["dataset.root=videos", "output=my runs/mine/dataset"]
    assert load(PreprocessConfig, Path(own_preprocess[4]), own_preprocess[5:]).format.num_segments == "auto"
    training = load(TrainConfig, Path(own_train[4]), own_train[5:])
    assert (training.data, training.output) == ("my runs/mine/dataset", "my runs/mine/robust")
    assert classify[3:] == ["predict", "my runs/demo/robust/checkpoint", "my runs/demo/videos/test"]


def test_the_last_step_runs_where_the_demo_left_its_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is copied: with this Python, in the folder in which the demo ran."""
    monkeypatch.chdir(tmp_path)
    demo = DemoConfig(output=str(tmp_path / "runs/demo"))
    write_checkpoint(Path(training_of("robust", demo).output) / "checkpoint")
    [videos] = clips_of(demo).dataset.roots
    (videos / "test").mkdir(parents=True)
    write_tiny_video(videos / "test/a.mp4", label=0, seed=0)
    *_, classify = commands_of(next_steps(demo))
    assert (tmp_path / classify[0]).samefile(sys.executable)
    assert main(classify[3:]) == 0
    assert capsys.readouterr().out.startswith("runs/demo/videos/test/a.mp4: ")


def test_settings_that_no_training_takes_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size=32 leaves some of workers=33 without a clip"):
        run_demo(DemoConfig(output=str(tmp_path / "demo"), workers=33))
    assert not list(tmp_path.iterdir())
