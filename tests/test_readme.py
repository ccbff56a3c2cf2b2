"""README: its two examples run from videos to a verified report, and so does its Python; shipped YAML files load."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from docs.generator.sources import configs
from evaluation.reporting.report import Report
from pipeline.commands import main
from pipeline.settings.load import load
from pipeline.tracking.address import store_address
from pipeline.tracking.mlflow_runs import TrackingStore
from pipeline.tracking.opening import open_store
from preprocessing.schema import ClipFormat
from preprocessing.storage.records import load_index
from tests.docs.pages import ROOT, pipeline_commands
from tests.docs.readme import README, commands_of, made_small
from tests.tiny_video import TINY_CLASSES
from training.attacks import AttackedClips

pytestmark = pytest.mark.timeout(900)
YAML_FILES = sorted((ROOT / "pipeline" / "configs").rglob("*.yaml"))
"""Each in a folder of its command's name."""
PLACES = {
    "preprocess": ["dataset.root=videos", "output=out"],
    "train": ["data=data", "output=out"],
    "tune": ["data=data", "output=out"],
    "evaluate": ["checkpoint=checkpoint", "data=data", "output=out"],
    "corruptions": ["checkpoint=checkpoint", "data=data", "output=out"],
    "transfer": ["checkpoint=[one, two, three]", "data=data", "output=out"],
}


class TheirNetwork(nn.Module):
    """A stranger's: one spectrogram per clip, frames as [batch, 3, segments, height, width], an answer by name."""

    def __init__(self, clip_format: ClipFormat, num_classes: int) -> None:
        super().__init__()
        self.sound = nn.Linear(clip_format.num_mels, num_classes)
        self.sight = nn.Linear(3 * clip_format.frame_size**2, num_classes)

    def forward(self, spectrogram: Tensor, frames: Tensor) -> dict[str, Tensor]:
        seen = self.sight(frames.transpose(1, 2).flatten(2)).mean(1)
        return {"scores": self.sound(spectrogram[:, 0].mean(2)) + seen}


def python_examples(page: Path) -> tuple[str, str]:
    """An attack on a model, and a whole report of it."""
    attack, report = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return str(attack), str(report)


def test_the_python_example_attacks_a_strangers_model() -> None:
    source = torch.Generator().manual_seed(0)
    video, audio = torch.rand(4, 8, 3, 32, 32, generator=source), torch.rand(4, 8, 64, 25, generator=source)
    form = ClipFormat(num_segments=8, frame_size=32, num_mels=64)
    names = {
        "their_network": TheirNetwork(form, 5),
        "video": video,
        "audio": audio,
        "labels": torch.tensor([0, 1, 2, 3]),
    }
    exec(python_examples(README)[0], names)
    found = names["found"]
    assert isinstance(found, AttackedClips)
    assert 0 < found.distances["video"].max() <= 4 / 255 + 1e-6
    assert found.unusable_gradients == 0


def test_the_page_about_own_models_shows_the_same_example() -> None:
    assert python_examples(ROOT / "docs" / "how-to" / "own-model.md") == python_examples(README)


def test_the_second_python_example_reports_on_it(tiny_dataset: Path, tmp_path: Path) -> None:
    index = load_index(str(tiny_dataset))
    names: dict[str, object] = {"their_network": TheirNetwork(index.format, len(index.classes))}
    attack, report = python_examples(README)
    exec(attack[: attack.index("found =")], names)
    exec(report.replace("runs/mine/dataset", str(tiny_dataset)).replace("runs/theirs", str(tmp_path)), names)
    found = names["report"]
    assert isinstance(found, Report)
    assert found.num_clips == index.num_clips["test"]
    assert {attack.name for attack in found.attacks} >= {"fgsm", "pgd-10", "square queries 100"}
    assert [reason.partition(":")[0] for reason in found.left_out] == ["tma-10"]


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: "/".join(file.parts[-3:]))
def test_every_shipped_yaml_loads_and_opens_with_its_command(file: Path) -> None:
    load(configs()[file.parent.name], file, PLACES[file.parent.name])
    first = file.read_text().splitlines()[0]
    assert first.startswith(f"# python -m pipeline {file.parent.name} {file.relative_to(ROOT)}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_videos: Path) -> Path:
    """A folder as README finds it: the configs, and small videos."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "pipeline").symlink_to(ROOT / "pipeline")
    (folder / "videos").symlink_to(tiny_videos)
    return folder


def run(example: str, folder: Path) -> Path:
    """What lies in the example's folder after its commands, run in order with small settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in commands_of(example):
            assert main(made_small(words)) == 0, words
    return folder / "runs" / example


@pytest.fixture(scope="module")
def own_videos(folder: Path, ray_session: None) -> Path:
    return run("mine", folder)


@pytest.fixture(scope="module")
def kinetics_sounds(folder: Path, ray_session: None) -> Path:
    return run("ks", folder)


def find_run(store: TrackingStore, name: str) -> str:
    [found] = store.client().search_runs([store.experiment_id], f"attributes.run_name = '{name}'")
    return str(found.info.run_id)


def test_own_videos_take_five_commands() -> None:
    assert [words[0] for words in commands_of("mine")] == ["preprocess", "inspect", "train", "evaluate", "predict"]


def test_the_first_of_them_takes_videos_shorter_than_ten_segments(own_videos: Path) -> None:
    """Videos of 2 s, in segments of half a second: four of each are kept, and every video is."""
    index = load_index(str(own_videos / "dataset"))
    assert (index.format.num_segments, sum(index.num_clips.values()), index.num_rejected) == (4, 40, 0)


def test_the_five_commands_leave_a_page_a_checkpoint_and_a_report(own_videos: Path) -> None:
    assert (own_videos / "dataset" / "inspect.html").stat().st_size > 10_000
    assert (own_videos / "robust" / "checkpoint" / "model.safetensors").exists()
    assert (own_videos / "robust" / "report.html").stat().st_size > 10_000


def test_the_last_of_them_classifies_every_video(own_videos: Path) -> None:
    rows = list(csv.DictReader((own_videos / "found.csv").read_text().splitlines()))
    assert len(rows) == 40
    assert {row["class"] for row in rows} <= set(TINY_CLASSES)


@pytest.mark.slow
def test_kinetics_sounds_ends_in_shards_a_checkpoint_and_a_report(kinetics_sounds: Path) -> None:
    assert (kinetics_sounds / "dataset" / "dataset.json").exists()
    assert (kinetics_sounds / "robust" / "checkpoint" / "model.safetensors").exists()
    report: dict[str, Any] = json.loads((kinetics_sounds / "robust" / "report.json").read_text())
    assert {attack["name"] for attack in report["attacks"]} == {"fgsm", "pgd-2"}
    assert 0 <= report["clean_accuracy"] <= 1
    assert (kinetics_sounds / "robust" / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_the_example_is_in_mlflow(kinetics_sounds: Path) -> None:
    """Settings, a point per epoch, the model and the report's files."""
    store = open_store(store_address(str(kinetics_sounds / "robust")))
    client = store.client()
    training, report = (find_run(store, name) for name in ("robust", "robust report"))
    found = client.get_run(training)
    assert found.info.status == "FINISHED"
    assert found.data.params["objective.name"] == "tma_curriculum"
    history = client.get_metric_history(training, "validation/robust_accuracy")
    assert [point.step for point in history] == [1, 2]
    assert {file.path for file in client.list_artifacts(training, "model")} >= {"model/MLmodel", "model/data"}
    assert "test/clean_accuracy" in client.get_run(report).data.metrics
    assert {file.path for file in client.list_artifacts(report, "report")} >= {"report/report.html"}


@pytest.mark.slow
def test_the_model_in_mlflow_gives_the_checkpoints_classes(kinetics_sounds: Path) -> None:
    import mlflow.pyfunc

    from training.checkpoint import load_model

    store = open_store(store_address(str(kinetics_sounds / "robust")))
    run_id = find_run(store, "robust")
    [model_folder] = Path(store.uri.removeprefix("sqlite:///")).parent.glob(f"mlflow-files/{run_id}/artifacts/model")
    served = mlflow.pyfunc.load_model(str(model_folder))
    video, audio = torch.rand(2, 4, 3, 32, 32), torch.rand(2, 4, 32, 50)
    model, info = load_model(kinetics_sounds / "robust" / "checkpoint")
    with torch.inference_mode():
        expected = torch.softmax(model(video, audio).logits, 1)
    found = served.predict({"video": video.numpy(), "audio": audio.numpy()})
    for row, probabilities in zip(found, expected, strict=True):
        assert [row["probabilities"][name] for name in info.classes] == pytest.approx(probabilities.tolist(), rel=1e-4)


@pytest.mark.slow
def test_running_the_example_again_changes_nothing(kinetics_sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(kinetics_sounds.parent.parent)
    index = (kinetics_sounds / "dataset" / "dataset.json").read_bytes()
    words = [words for words in commands_of("ks") if words[0] == "preprocess"][-1]
    assert main(made_small(words)) == 0
    assert (kinetics_sounds / "dataset" / "dataset.json").read_bytes() == index


def test_the_command_that_shows_settings_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    [words] = [words for words in pipeline_commands(README) if words[0] == "settings"]
    assert main(words) == 0


def test_the_job_on_a_cluster_is_a_training(folder: Path) -> None:
    [line] = [line for line in README.read_text().splitlines() if line.startswith("ray job submit")]
    assert shlex.split(line)[-5:-2] == [
        "train",
        "pipeline/configs/train/tma_curriculum.yaml",
        "data=/shared/ks/dataset",
    ]
