from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
import yaml

from training.attacks import FGSM, PGD
from training.checkpoint import load_info, load_model, load_state
from training.config import OptimizerConfig, TrainConfig, ValidationConfig
from training.data import evaluation_batches
from training.models import ModelConfig
from training.objectives import Standard, TMACurriculum
from training.run import TrainingError, TrainResult, set_aside_torn_snapshot, train

EPOCHS = 4


def settings(data: Path, output: Path, **changes: object) -> TrainConfig:
    """A training that takes seconds: 24 clips, 4 epochs of 3 steps."""
    values = {
        "data": str(data),
        "output": str(output),
        "model": ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=16),
        "epochs": EPOCHS,
        "batch_size": 8,
        "workers": 2,
        "optimizer": OptimizerConfig(learning_rate=5e-3),
        "validation": ValidationConfig(attacks=(PGD(steps=2), FGSM())),
        **changes,
    }
    return TrainConfig.model_validate(values)


@pytest.fixture(scope="module")
def two_workers(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainConfig, TrainResult]:
    """A curriculum training by two workers, shared by the tests below."""
    config = settings(tiny_dataset, tmp_path_factory.mktemp("two_workers"))
    return config, train(config)


def test_each_epoch_reports_losses_accuracies_speed_and_curriculum(
    two_workers: tuple[TrainConfig, TrainResult],
) -> None:
    _, result = two_workers
    assert [metrics["epoch"] for metrics in result.history] == [1, 2, 3, 4]
    assert result.resumed_from == 0
    for metrics in result.history:
        assert {
            "train/loss",
            "train/accuracy",
            "train/gradient_norm",
            "validation/clean_accuracy",
            "validation/robust_accuracy",
            "time/clips_per_second",
            "time/epoch_seconds",
            "curriculum/attack_steps",
        } <= set(metrics)
        assert 0 <= metrics["validation/robust_accuracy"] <= metrics["validation/clean_accuracy"] <= 1


def test_the_loss_falls(two_workers: tuple[TrainConfig, TrainResult]) -> None:
    _, result = two_workers
    assert result.history[-1]["train/loss"] < result.history[0]["train/loss"]


def test_the_best_epoch_by_robust_accuracy_is_published(two_workers: tuple[TrainConfig, TrainResult]) -> None:
    config, result = two_workers
    best = max(result.history, key=lambda metrics: (metrics["validation/robust_accuracy"], metrics["epoch"]))
    info = load_info(result.checkpoint)
    assert info.metrics == result.best
    assert info.metrics["validation/robust_accuracy"] == best["validation/robust_accuracy"]
    assert result.checkpoint == Path(config.output) / "checkpoint"


def test_the_published_model_scores_what_its_metrics_say(two_workers: tuple[TrainConfig, TrainResult]) -> None:
    config, result = two_workers
    model, info = load_model(result.checkpoint)
    right = total = 0
    for batch in evaluation_batches(config.data, "validation", batch_size=4):
        with torch.no_grad():
            right += int((model(batch.video, batch.audio).logits.argmax(1) == batch.labels).sum())
        total += len(batch)
    assert right / total == pytest.approx(info.metrics["validation/clean_accuracy"])


def test_one_worker_learns_the_same_weights_as_two(
    two_workers: tuple[TrainConfig, TrainResult], tmp_path: Path
) -> None:
    """Same clips per step, same attacks per clip, averaged gradients: equal up to rounding."""
    config, result = two_workers
    alone = train(settings(Path(config.data), tmp_path, workers=1))
    for one, other in zip(alone.history, result.history, strict=True):
        assert one["train/loss"] == pytest.approx(other["train/loss"], rel=1e-2)
        assert one["validation/robust_accuracy"] == other["validation/robust_accuracy"]


def test_a_finished_training_is_not_done_twice(two_workers: tuple[TrainConfig, TrainResult]) -> None:
    config, result = two_workers
    again = train(config)
    assert again.history == result.history
    assert again.resumed_from == EPOCHS
    assert load_info(again.checkpoint) == load_info(result.checkpoint)


def test_other_settings_in_the_same_output_are_refused(two_workers: tuple[TrainConfig, TrainResult]) -> None:
    config, _ = two_workers
    other = TrainConfig.model_validate(config.model_dump() | {"epochs": 5, "objective": Standard()})
    with pytest.raises(ValueError, match=r"other settings(.|\n)*epochs: there 4, asked for 5(.|\n)*objective: there"):
        train(other)


def test_workers_may_change_between_attempts(two_workers: tuple[TrainConfig, TrainResult]) -> None:
    config, _ = two_workers
    fewer = TrainConfig.model_validate(config.model_dump() | {"workers": 1})
    assert fewer.decides_result() == config.decides_result()


def test_a_data_set_without_enough_clips_is_refused_before_work(tiny_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch_size=64, but there are only 24 training clips"):
        train(settings(tiny_dataset, tmp_path, batch_size=64))
    assert not list(tmp_path.iterdir())


def test_a_gradient_that_is_not_finite_stops_and_tells_the_step(tiny_dataset: Path, tmp_path: Path) -> None:
    wild = settings(
        tiny_dataset,
        tmp_path,
        objective=Standard(),
        optimizer=OptimizerConfig(name="sgd", learning_rate=1e30, warmup=0.0),
        gradient_clip=None,
        workers=1,
    )
    with pytest.raises(TrainingError, match=r"epoch 1, step \d of 3: the gradient has length (nan|inf)"):
        train(wild)


def test_a_torn_list_of_checkpoints_is_set_aside(tmp_path: Path) -> None:
    snapshot = tmp_path / "checkpoint_manager_snapshot.json"
    for text in ('{"checkpoint_resu', json.dumps({"checkpoint_results": [{"checkpoint_dir_name": "epoch_000001"}]})):
        snapshot.write_text(text)
        set_aside_torn_snapshot(tmp_path)
        assert not snapshot.exists()
    assert len(list(tmp_path.iterdir())) == 2


def test_the_checkpoint_tells_its_settings_and_holds_no_pickle(two_workers: tuple[TrainConfig, TrainResult]) -> None:
    config, result = two_workers
    stored = yaml.safe_load((result.checkpoint / "config.yaml").read_text())
    assert TrainConfig.model_validate(stored) == config
    assert isinstance(config.objective, TMACurriculum)
    assert safetensors.torch.load_file(result.checkpoint / "model.safetensors")
    assert len(load_state(result.checkpoint)["history"]) == load_info(result.checkpoint).epoch
