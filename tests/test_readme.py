"""README: its commands parse, their files exist, its example runs from videos to a verified report; YAML files load."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evaluation.config import EvaluateConfig
from pipeline.commands import main
from pipeline.demo import DemoConfig
from pipeline.mlflow_runs import Store, open_store
from pipeline.search.tune import TuneConfig
from pipeline.settings.load import load
from preprocessing.config import PreprocessConfig
from preprocessing.inspection.config import InspectConfig
from preprocessing.settings import Settings
from training.attacks import AttackedClips
from training.config import TrainConfig

pytestmark = pytest.mark.timeout(900)
ROOT = Path(__file__).parent.parent
CONFIGS: dict[str, type[Settings]] = {
    "demo": DemoConfig,
    "preprocess": PreprocessConfig,
    "inspect": InspectConfig,
    "train": TrainConfig,
    "tune": TuneConfig,
    "evaluate": EvaluateConfig,
}
YAML_FILES = sorted((ROOT / "pipeline" / "configs").glob("*/*.yaml"))
PLACES = {
    "preprocess": ["dataset.root=videos", "output=out"],
    "train": ["data=data", "output=out"],
    "tune": ["data=data", "output=out"],
    "evaluate": ["checkpoint=checkpoint", "data=data", "output=out"],
}
SMALL = {
    "preprocess": ["format={num_segments: 4, segment_seconds: 0.5, frame_size: 32, num_mels: 32}", "shard_size=10"],
    "train": [
        "model={video_encoder: tiny, audio_encoder: tiny, feature_size: 16}",
        "epochs=2",
        "batch_size=8",
        "validation.attacks=[{name: fgsm}]",
    ],
    "evaluate": [
        "attacks=[{name: fgsm}, {name: pgd, steps: 2}]",
        "reference_attack={name: pgd, steps: 2}",
        "curve=[0, 1]",
        "gpus_per_worker=0",
        "num_resamples=50",
    ],
    "inspect": [],
    "verify": [],
    "crosscheck": ["--clips", "4"],
}
PLAIN = {"verify": 1, "crosscheck": 2}
"""Commands without settings, and how many places they take."""


def shell_lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


def pipeline_commands() -> list[list[str]]:
    found = (re.search(r"python -m pipeline (.*)", line) for line in shell_lines())
    return [shlex.split(match[1], comments=True) for match in found if match]


def python_blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


class TheirNetwork(nn.Module):
    """A stranger's: one spectrogram per clip, frames as [batch, 3, segments, height, width], an answer by name."""

    def __init__(self) -> None:
        super().__init__()
        self.sound, self.sight = nn.Linear(64, 5), nn.Linear(3 * 32 * 32, 5)

    def forward(self, spectrogram: Tensor, frames: Tensor) -> dict[str, Tensor]:
        seen = self.sight(frames.transpose(1, 2).flatten(2)).mean(1)
        return {"scores": self.sound(spectrogram[:, 0].mean(2)) + seen}


def test_the_python_example_attacks_a_strangers_model() -> None:
    source = torch.Generator().manual_seed(0)
    video, audio = torch.rand(4, 8, 3, 32, 32, generator=source), torch.rand(4, 8, 64, 25, generator=source)
    [example] = python_blocks()
    names = {"their_network": TheirNetwork(), "video": video, "audio": audio, "labels": torch.tensor([0, 1, 2, 3])}
    exec(example, names)
    found = names["found"]
    assert isinstance(found, AttackedClips)
    assert 0 < found.distances["video"].max() <= 4 / 255 + 1e-6
    assert found.unusable_gradients == 0


def words_of(*, command: str, output: str) -> list[str]:
    """README's last words for `command` into `output`: before it stands what only plans."""
    found = [words for words in pipeline_commands() if words[0] == command and any(output in word for word in words)]
    return found[-1]


@pytest.mark.parametrize("words", pipeline_commands(), ids=" ".join)
def test_every_command_of_the_readme_parses(words: list[str]) -> None:
    command, *rest = words
    if command == "inspect":
        load(CONFIGS[command], None, rest[1:])
        return
    if command in PLAIN:
        assert len(rest) == PLAIN[command]
        return
    file = None
    if rest and "=" not in rest[0]:
        file = ROOT / rest.pop(0)
        if not file.is_relative_to(ROOT / "pipeline"):  # one that an earlier command of the README writes
            file = None
    load(CONFIGS[command], file, rest)


def test_every_make_target_and_file_of_the_readme_exists() -> None:
    makefile, text = (ROOT / "Makefile").read_text(), (ROOT / "README.md").read_text()
    for target in re.findall(r"^make ([a-z-]+)", "\n".join(shell_lines()), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    named = re.findall(r"`((?:preprocessing|training|evaluation|pipeline|benchmarks|tests)/[\w/.]*)`", text)
    missing = [name for name in named if not (ROOT / name).exists()]
    assert named
    assert not missing


def test_every_training_setting_of_the_readme_is_one() -> None:
    section = (ROOT / "README.md").read_text().partition("## Training methods")[2].partition("**Is the")[0]
    found = re.findall(r"`([a-z_.]+=[^`]+)`", section)
    assert len(found) > 6
    load(TrainConfig, changes=[*PLACES["train"], *(words for words in found if not words.endswith("="))])


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_shipped_yaml_loads_and_opens_with_its_command(file: Path) -> None:
    load(CONFIGS[file.parent.name], file, PLACES[file.parent.name])
    first = file.read_text().splitlines()[0]
    assert first.startswith(f"# python -m pipeline {file.parent.name} {file.relative_to(ROOT)}")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory, tiny_videos: Path, ray_session: None) -> Path:
    """The folder after README's example, its commands run in order on small videos with small settings."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "pipeline").symlink_to(ROOT / "pipeline")
    (folder / "videos").symlink_to(tiny_videos)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in pipeline_commands():
            if words[0] in SMALL and "runs/ks" in " ".join(words) and "/shared" not in " ".join(words):
                assert main([*words, *SMALL[words[0]]]) == 0, words
    return folder / "runs" / "ks"


def find_run(store: Store, name: str) -> str:
    [run] = store.client().search_runs([store.experiment_id], f"attributes.run_name = '{name}'")
    return str(run.info.run_id)


def test_the_readmes_example_leaves_shards_a_checkpoint_and_a_report(example: Path) -> None:
    assert (example / "dataset" / "dataset.json").exists()
    assert (example / "robust" / "checkpoint" / "model.safetensors").exists()
    report: dict[str, Any] = json.loads((example / "robust" / "report.json").read_text())
    assert {attack["name"] for attack in report["attacks"]} == {"fgsm", "pgd-2"}
    assert 0 <= report["clean_accuracy"] <= 1
    assert (example / "robust" / "report.html").stat().st_size > 10_000


def test_the_readmes_example_is_in_mlflow(example: Path) -> None:
    """Settings, a point per epoch, the model and the report's files."""
    store = open_store(str(example / "robust"))
    client = store.client()
    training, report = (find_run(store, name) for name in ("robust", "robust report"))
    run = client.get_run(training)
    assert run.info.status == "FINISHED"
    assert run.data.params["objective.name"] == "tma_curriculum"
    history = client.get_metric_history(training, "validation/robust_accuracy")
    assert [point.step for point in history] == [1, 2]
    assert {file.path for file in client.list_artifacts(training, "model")} >= {"model/MLmodel", "model/data"}
    assert "test/clean_accuracy" in client.get_run(report).data.metrics
    assert {file.path for file in client.list_artifacts(report, "report")} >= {"report/report.html"}


def test_the_model_in_mlflow_gives_the_checkpoints_logits(example: Path) -> None:
    import mlflow.pyfunc
    import numpy as np
    import torch

    from training.checkpoint import load_model

    store = open_store(str(example / "robust"))
    run_id = find_run(store, "robust")
    [model_folder] = Path(store.uri.removeprefix("sqlite:///")).parent.glob(f"mlflow-files/{run_id}/artifacts/model")
    served = mlflow.pyfunc.load_model(str(model_folder))
    video, audio = torch.rand(2, 4, 3, 32, 32), torch.rand(2, 4, 32, 50)
    model, _ = load_model(example / "robust" / "checkpoint")
    with torch.inference_mode():
        expected = model(video, audio).logits.numpy()
    np.testing.assert_allclose(served.predict({"video": video.numpy(), "audio": audio.numpy()}), expected, rtol=1e-5)


def test_running_the_example_again_changes_nothing(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(example.parent.parent)
    index = (example / "dataset" / "dataset.json").read_bytes()
    words = words_of(command="preprocess", output="runs/ks/dataset")
    assert main([*words, *SMALL["preprocess"]]) == 0
    assert (example / "dataset" / "dataset.json").read_bytes() == index
