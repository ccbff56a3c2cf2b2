from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from tests.training.small_runs import Run, losses, settings, weights
from training.checkpoint import load_info, load_model, load_state
from training.config import TrainConfig
from training.data import evaluation_batches
from training.models import ModelConfig
from training.models.encoders import build_encoder
from training.objectives import AWP, TRADES, FreeAT, Objective, Standard, TMACurriculum
from training.optimization import OptimizerConfig
from training.run import train


def test_each_epoch_reports_losses_accuracies_speed_and_curriculum(two_workers: Run) -> None:
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
            "time/data_seconds",
            "time/epoch_seconds",
            "curriculum/attack_steps",
        } <= set(metrics)
        assert 0 <= metrics["validation/robust_accuracy"] <= metrics["validation/clean_accuracy"] <= 1
        assert metrics["time/data_seconds"] < metrics["time/epoch_seconds"]


def test_the_loss_falls(two_workers: Run) -> None:
    _, result = two_workers
    assert losses(result)[-1] < losses(result)[0]


def test_the_best_epoch_by_robust_accuracy_is_the_checkpoint(two_workers: Run) -> None:
    config, result = two_workers
    assert result.checkpoint == Path(config.output) / "checkpoint"
    assert result.best == max(result.history, key=lambda metrics: (*config.validation.score(metrics), metrics["epoch"]))
    assert load_info(result.checkpoint).metrics == result.best


def test_the_checkpoint_scores_what_its_metrics_say(two_workers: Run) -> None:
    config, result = two_workers
    model, info = load_model(result.checkpoint)
    right = total = 0
    for batch in evaluation_batches(config.data, "validation", batch_size=4):
        with torch.no_grad():
            right += int((model(batch.video, batch.audio).logits.argmax(1) == batch.labels).sum())
        total += len(batch)
    assert right / total == pytest.approx(info.metrics["validation/clean_accuracy"])


def test_the_checkpoint_tells_its_settings_and_its_history(two_workers: Run) -> None:
    config, result = two_workers
    stored = yaml.safe_load((result.checkpoint / "config.yaml").read_text())
    assert TrainConfig.model_validate(stored) == config
    assert isinstance(config.objective, TMACurriculum)
    info = load_info(result.checkpoint)
    assert load_state(result.checkpoint)["history"] == result.history[: info.epoch]


@pytest.mark.slow
def test_one_worker_learns_the_same_weights_as_two(two_workers: Run, tmp_path: Path) -> None:
    """Same clips per step, same attacks per clip, averaged gradients: equal up to rounding."""
    config, result = two_workers
    alone = train(settings(config.data, tmp_path, workers=1))
    assert losses(alone) == pytest.approx(losses(result), rel=1e-2)
    for one, other in zip(alone.history, result.history, strict=True):
        assert one["validation/robust_accuracy"] == other["validation/robust_accuracy"]
    expected = weights(result)
    for name, value in weights(alone).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-2, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective", [FreeAT(replays=2), AWP(objective=TRADES())], ids=lambda objective: objective.name
)
def test_two_workers_go_the_way_of_one_whatever_the_objective(
    tiny_dataset: Path, tmp_path: Path, objective: Objective
) -> None:
    """Several updates a batch, or weights that are perturbed.

    Six batches move both trainings alike.
    """
    alone, shared = (
        train(settings(tiny_dataset, tmp_path / str(workers), workers=workers, epochs=2, objective=objective))
        for workers in (1, 2)
    )
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-3)
    for name, value in weights(alone).items():
        torch.testing.assert_close(weights(shared)[name], value, rtol=0, atol=2e-3)


@pytest.mark.slow
def test_two_workers_learn_what_one_does_with_batch_normalisation(tiny_dataset: Path, tmp_path: Path) -> None:
    """ResNet-18 for frames; with each worker's own statistics some weight ends elsewhere by a hundred times as much."""
    model = ModelConfig(video_encoder="resnet18", audio_encoder="tiny", feature_size=16)
    gradient_descent = OptimizerConfig(name="sgd", learning_rate=1e-2)

    def trained(workers: int, batch_norm: str) -> dict[str, torch.Tensor]:
        config = settings(
            tiny_dataset,
            tmp_path / f"{workers} {batch_norm}",
            model=model,
            optimizer=gradient_descent,
            objective=Standard(),
            workers=workers,
            batch_norm=batch_norm,
            epochs=2,
        )
        return weights(train(config))

    def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
        return max(float((value - other[name]).abs().max()) for name, value in one.items())

    alone = trained(1, "synchronised")
    assert largest_difference(alone, trained(2, "synchronised")) < 1e-4
    assert largest_difference(alone, trained(2, "local")) > 1e-2


@pytest.mark.slow
def test_a_training_starts_from_stored_weights_and_its_checkpoint_needs_them_no_more(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    """At a learning rate of 1e-9 three steps leave every weight where the file had put it."""
    stored, file = build_encoder("tiny", "video", feature_size=16), tmp_path / "video.pt"
    torch.save(stored.state_dict(), file)
    model = ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=16, video_weights=str(file))
    slow = OptimizerConfig(learning_rate=1e-9)
    config = settings(
        tiny_dataset, tmp_path / "run", model=model, optimizer=slow, workers=1, epochs=1, objective=Standard()
    )
    result = train(config)
    file.unlink()
    found = load_model(result.checkpoint)[0].video_encoder.state_dict()
    assert all(torch.allclose(value, found[name], atol=1e-6) for name, value in stored.state_dict().items())
    assert train(config).resumed_from == 1


@pytest.mark.slow
def test_a_finished_training_goes_on_to_more_epochs(
    tiny_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The first two epochs stay; the rate begins again where a training of four has it: half of the cosine's way."""
    caplog.set_level("INFO", logger="training")
    optimizer = OptimizerConfig(learning_rate=1e-2, warmup=0.0)
    short, longer = (
        settings(tiny_dataset, tmp_path, workers=1, epochs=epochs, objective=Standard(), optimizer=optimizer)
        for epochs in (2, 4)
    )
    before = train(short)
    after = train(longer)
    assert after.resumed_from == 2
    assert after.history[:2] == before.history
    rates = [metrics["train/learning_rate"] for metrics in after.history]
    assert rates == pytest.approx([0.5e-2, 0.0, 1e-2 * (1 - 0.5**0.5) / 2, 0.0], abs=1e-9)
    assert "going on from 2 to 4 epochs" in caplog.text
    assert "that rate begins again at 0.005" in caplog.text
    assert train(longer).resumed_from == 4
    with pytest.raises(ValueError, match="epochs: 4 there, 2 now"):
        train(short)


@pytest.mark.slow
def test_a_training_begins_with_a_checkpoint_of_ones_own(two_workers: Run, tmp_path: Path) -> None:
    """At a learning rate of 1e-9 three steps leave every weight where the checkpoint had put it."""
    config, result = two_workers
    model = config.model.model_copy(update={"weights": str(result.checkpoint)})
    slow = OptimizerConfig(learning_rate=1e-9)
    fine = train(settings(config.data, tmp_path, model=model, optimizer=slow, workers=1, epochs=1))
    expected = weights(result)
    assert all(torch.allclose(value, expected[name], atol=1e-6) for name, value in weights(fine).items())
