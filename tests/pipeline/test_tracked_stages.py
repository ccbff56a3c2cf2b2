from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.config import EvaluateConfig
from evaluation.corruptions.config import CorruptionsConfig
from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.run import evaluate
from evaluation.transfer.config import TransferConfig
from pipeline.tracked_stages import (
    tracked_corruptions,
    tracked_evaluation,
    tracked_perceptibility,
    tracked_transfer,
    training_end,
)
from pipeline.tracking.address import store_address
from pipeline.tracking.opening import open_store
from preprocessing.storage.records import load_index
from training.attacks import FGSM
from training.checkpoint import CheckpointInfo, save
from training.config import TrainConfig
from training.models import ModelConfig
from training.run import TrainResult
from training.threat import ThreatModel


def save_untrained(folder: Path, tiny_dataset: Path, *, seed: int = 0) -> str:
    """A checkpoint of a tiny model as it begins."""
    index, model = load_index(str(tiny_dataset)), ModelConfig(video_encoder="tiny", audio_encoder="tiny")
    torch.manual_seed(seed)
    info = CheckpointInfo(
        model=model, clip_format=index.format, classes=index.classes, dataset_sha256="0" * 64, epoch=1, metrics={}
    )
    built = model.build(index.format, len(index.classes))
    save(folder / "checkpoint", model=built, info=info, config={}, state={})
    return str(folder / "checkpoint")


def test_the_end_of_a_training_says_where_it_is_and_what_comes_next(tmp_path: Path) -> None:
    config = TrainConfig(data="/data", output=str(tmp_path / "a run"), epochs=2)
    history = [
        {"epoch": epoch, "validation/clean_accuracy": 0.75, "validation/robust_accuracy": robust}
        for epoch, robust in ((1.0, 0.5), (2.0, 0.25))
    ]
    checkpoint = tmp_path / "a run" / "checkpoint"
    result = TrainResult(checkpoint, history[0], history, resumed_from=0, resumed_step=0, stopped="", seconds=100.0)
    places = f"'checkpoint={checkpoint}' data=/data 'output={tmp_path}/a run'"
    assert list(training_end(config, result, page="http://host/#/1")) == [
        "trained for 2 epochs, 1 min 40 s in this run; best epoch 1: validation clean 75.0%, robust 50.0%",
        f"checkpoint: {checkpoint}",
        f"next: python -m pipeline evaluate attacks=standard {places}",
        "MLflow: http://host/#/1",
    ]
    assert len(list(training_end(config, result, page=""))) == 3


@pytest.mark.slow
def test_an_evaluation_is_recorded_with_its_numbers_and_its_report(tiny_dataset: Path, tmp_path: Path) -> None:
    """Once: the same evaluation, done again, adds no point."""
    config = EvaluateConfig(
        checkpoint=save_untrained(tmp_path, tiny_dataset),
        data=str(tiny_dataset),
        output=str(tmp_path / "out"),
        attacks=(FGSM(),),
        reference_attack=FGSM(),
        workers=1,
        limit=4,
    )
    for _ in range(2):
        report = tracked_evaluation(config)
    store = open_store(store_address(config.output))
    [run] = store.client().search_runs([store.experiment_id])
    assert (run.info.run_name, run.info.status) == ("out report", "FINISHED")
    assert run.data.metrics["test/robust_accuracy/fgsm"] == report.attacks[0].robust_accuracy
    assert len(store.client().get_metric_history(run.info.run_id, "test/clean_accuracy")) == 1
    files = {each.path for each in store.client().list_artifacts(run.info.run_id, "report")}
    assert files == {
        "report/report.json",
        "report/report.html",
        "report/certificates.parquet",
        "report/perturbations.parquet",
    }


@pytest.mark.slow
def test_a_measurement_under_corruptions_is_recorded_with_its_means_and_its_files(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    config = CorruptionsConfig(
        checkpoint=save_untrained(tmp_path, tiny_dataset),
        data=str(tiny_dataset),
        output=str(tmp_path / "out"),
        corruptions=("gaussian",),
        severities=(1, 5),
        workers=1,
        limit=4,
    )
    report = tracked_corruptions(config)
    store = open_store(store_address(config.output))
    [run] = store.client().search_runs([store.experiment_id])
    assert (run.info.run_name, run.info.status) == ("out corruptions", "FINISHED")
    assert run.data.metrics["test/corrupted_accuracy/both/all"] == report.groups[0].score.accuracy
    files = {each.path for each in store.client().list_artifacts(run.info.run_id, "corruptions")}
    assert files == {f"corruptions/{path.name}" for path in (tmp_path / "out").iterdir()}


@pytest.mark.slow
def test_a_measurement_of_transfer_is_recorded_with_its_means_and_its_files(tiny_dataset: Path, tmp_path: Path) -> None:
    config = TransferConfig(
        checkpoint=tuple(save_untrained(tmp_path / str(seed), tiny_dataset, seed=seed) for seed in (0, 1)),
        data=str(tiny_dataset),
        output=str(tmp_path / "out"),
        attacks=(FGSM(),),
        threat=ThreatModel(video=0.2, audio=0.2),
        workers=1,
    )
    report = tracked_transfer(config)
    store = open_store(store_address(config.output))
    [run] = store.client().search_runs([store.experiment_id])
    assert (run.info.run_name, run.info.status) == ("out transfer", "FINISHED")
    assert run.data.metrics["test/num_clips"] == 8
    assert run.data.metrics["test/clean_accuracy/0"] == report.models[0].accuracy
    recorded = {name for name in run.data.metrics if name.startswith("test/success_rate/")}
    assert recorded == {f"test/success_rate/{mean.group}/fgsm" for mean in report.means}
    files = {each.path for each in store.client().list_artifacts(run.info.run_id, "transfer")}
    assert files == {f"transfer/{path.name}" for path in (tmp_path / "out").iterdir()}


@pytest.mark.slow
def test_a_look_at_adversarial_clips_is_recorded_with_its_measures_and_its_files(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    evaluation = EvaluateConfig(
        checkpoint=save_untrained(tmp_path, tiny_dataset),
        data=str(tiny_dataset),
        output=str(tmp_path / "report"),
        attacks=(FGSM(),),
        reference_attack=FGSM(),
        workers=1,
        limit=4,
    )
    evaluate(evaluation)
    config = PerceptibilityConfig(evaluation=evaluation.output, output=str(tmp_path / "out"), clips=1)
    report = tracked_perceptibility(config)
    store = open_store(store_address(config.output))
    [run] = store.client().search_runs([store.experiment_id])
    assert (run.info.run_name, run.info.status) == ("out perceptibility", "FINISHED")
    assert report.attacks[0].ssim_video is not None
    assert run.data.metrics["test/ssim_video/fgsm"] == report.attacks[0].ssim_video.mean.value
    for folder in ("", "/clips", "/clips/1"):
        files = {each.path for each in store.client().list_artifacts(run.info.run_id, f"perceptibility{folder}")}
        assert files == {f"perceptibility{folder}/{path.name}" for path in (tmp_path / f"out{folder}").iterdir()}
