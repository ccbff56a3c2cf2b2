"""Relative places: made absolute at home, refused in a submitted job."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import get_args

import pytest

from docs.generator.settings import members
from evaluation.transfer.config import TransferConfig
from pipeline.commands import main
from pipeline.environment import JOB_VARIABLE
from pipeline.settings.load import load
from pipeline.settings.places import absolute_places
from preprocessing.config import PreprocessConfig
from training.config import TrainConfig

ROOT = Path(__file__).parents[3]
TRAIN = "pipeline/configs/train/standard.yaml"
COPY = "/tmp/ray/session_1/runtime_resources/working_dir_files/_ray_pkg_0123"
REFUSED = {
    "train data=/d output=runs/x": ["output='runs/x': write output=/shared/runs/x"],
    f"train {TRAIN} data=d output=./o": ["data='d': write data=/shared/d", "output='o': write output=/shared/o"],
    f"train data=/d output={COPY}/runs/x": ["output='runs/x': write output=/shared/runs/x"],
    f"train data=/d output=/o model.video_weights={COPY}/w.pt": ["model.video_weights='w.pt'"],
    "evaluate data=s3://bucket/d output=/o checkpoint=c": ["checkpoint='c': write checkpoint=/shared/c"],
    "evaluate data=/d output=/o checkpoint=/c surrogates=[/a,b]": ["surrogates='b': write surrogates=/shared/b"],
    "transfer data=/d output=/o checkpoint=[/a,b] models.c.model=m:f models.c.weights=w d.1=e": [
        "checkpoint='b': write checkpoint=/shared/b",
        "models.c.weights='w': write models.c.weights=/shared/w",
        "models.d.1.checkpoint='e'",
    ],
    "tune pipeline/configs/tune/demo.yaml data=d output=/o": ["data='d'"],
    "preprocess dataset.name=folder dataset.root=[/a,b] output=s3://bucket/o": ["dataset.root='b'"],
    "preprocess dataset.name=kinetics_sounds dataset.root=/a dataset.split_files=[lists/a.csv] "
    "dataset.annotations=[b.csv] output=/o": [
        "dataset.split_files='lists/a.csv': write dataset.split_files=/shared/lists/a.csv",
        "dataset.annotations='b.csv'",
    ],
    "demo": ["output='runs/demo': write output=/shared/runs/demo"],
    "inspect d output=/page.html": ["DIR='d'"],
    "verify d": ["DIR='d'"],
    "doctor output=x": ["output='x'"],
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_submitted_job_refuses_all_relative_places_at_once(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(JOB_VARIABLE, "{}")
    assert main(words.split()) == 2
    said = capsys.readouterr().err
    assert "a submitted job runs in a copy of its working directory" in said
    for line in REFUSED[words]:
        assert f"\n  {line}" in said
    assert said.count("write ") == len(REFUSED[words])


def test_a_job_takes_whole_paths_urls_and_a_file_of_its_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(JOB_VARIABLE, "{}")
    monkeypatch.chdir(ROOT)
    given = ["data=s3://bucket/d", "output=/o", "model.video_weights=imagenet"]
    config = load(TrainConfig, Path(TRAIN), given)
    assert absolute_places(config) == {"data": "s3://bucket/d", "output": "/o"}


def test_elsewhere_relative_places_are_those_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    config = load(PreprocessConfig, None, ["dataset.name=folder", "dataset.root=[a,~/b]", "output=o"])
    assert absolute_places(config) == {"dataset.root": [f"{tmp_path}/a", "/home/me/b"], "output": f"{tmp_path}/o"}


@pytest.mark.parametrize("name", members("AnyDataset"))
def test_every_path_of_a_data_set_is_one_of_its_places(name: str) -> None:
    dataset = members("AnyDataset")[name]
    paths = {key for key, field in dataset.model_fields.items() if holds_path(field.annotation)}
    assert paths == set(dataset.places)


def holds_path(annotation: object) -> bool:
    return any(map(holds_path, get_args(annotation))) or (inspect.isclass(annotation) and issubclass(annotation, Path))


def test_a_property_with_the_name_of_a_place_is_none() -> None:
    """`transfer` works out its surrogates from its models; `evaluate` is given folders."""
    config = load(TransferConfig, None, ["checkpoint=[/a,/b]", "data=/d", "output=/o"])
    assert config.surrogates
    assert absolute_places(config) == {"checkpoint": ["/a", "/b"], "data": "/d", "output": "/o"}
