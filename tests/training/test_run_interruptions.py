"""Trainings that are interrupted, and go on."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
import torch

from tests.training.small_runs import EPOCHS, Run, kill_a_worker_midway, settings, untimed, weights
from training.checkpoint import load_info, model_sha256
from training.config import TrainConfig
from training.curriculum.monitoring import EarlyStopping, OverfittingMonitor
from training.objectives import TMACurriculum
from training.optimization import OptimizerConfig
from training.run import train
from training.run_folder import RunFolder


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_of_an_epoch_is_replaced_and_changes_nothing(
    two_workers: Run, tmp_path: Path
) -> None:
    """One of two is killed in the second epoch: the rest of it is done from its last step, to the same bits."""
    config, undisturbed = two_workers
    disturbed = settings(config.data, tmp_path, checkpoint_every=1)
    killer = threading.Thread(target=kill_a_worker_midway, args=(RunFolder(tmp_path),), daemon=True)
    killer.start()
    result = train(disturbed)
    assert not killer.is_alive()
    assert 1 <= result.resumed_from < EPOCHS
    assert 1 <= result.resumed_step < 3
    assert untimed(result.history) == untimed(undisturbed.history)
    expected = weights(undisturbed)
    assert all(torch.equal(value, expected[name]) for name, value in weights(result).items())
    assert not list((tmp_path / "steps").iterdir())


@pytest.mark.slow
def test_training_ends_by_its_patience_and_the_curriculum_goes_on_by_its_own_even_after_a_kill(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    """At a learning rate of 1e-12 no epoch gains: the second level begins after two epochs, and the third is the last.

    The only worker is killed in the second or third epoch; a finished training is not begun again.
    """
    steps = {"name": "adaptive", "levels": [1, 2], "patience": 1}
    config = settings(
        tiny_dataset,
        tmp_path,
        objective=TMACurriculum.model_validate({"curriculum": {"attack_steps": steps}}),
        optimizer=OptimizerConfig(learning_rate=1e-12),
        early_stopping=EarlyStopping(patience=2),
        workers=1,
        checkpoint_every=1,
    )
    killer = threading.Thread(target=kill_a_worker_midway, args=(RunFolder(tmp_path),), daemon=True)
    killer.start()
    result = train(config)
    assert result.resumed_from in (1, 2)
    assert result.resumed_step in (1, 2)
    assert [metrics["curriculum/attack_steps"] for metrics in result.history] == [1, 1, 2]
    assert "has not gained more than 0.0% for 2 epochs, since epoch 1" in result.stopped
    again = train(config)
    assert (again.history, again.stopped, again.resumed_from) == (result.history, result.stopped, 3)


def falling(data: Path | str, output: Path, **changes: object) -> TrainConfig:
    """Rates up to 10 throw the weights about again and again; each fall halves the rates that are left."""
    return settings(
        data,
        output,
        objective=TMACurriculum(),
        optimizer=OptimizerConfig(name="sgd", learning_rate=10.0, warmup=0.9, average_decay=0.5),
        overfitting=OverfittingMonitor(max_drop=0.1, action="roll_back", max_roll_backs=6),
        workers=1,
        epochs=6,
        **changes,
    )


@pytest.fixture(scope="module")
def fallen(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An undisturbed training that was rolled back."""
    config = falling(tiny_dataset, tmp_path_factory.mktemp("fallen"))
    return config, train(config)


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, None], ids=["in the middle of the epoch", "from the end of the fallen epoch"])
def test_a_worker_killed_right_after_a_roll_back_is_replaced_and_changes_nothing(
    fallen: Run, tmp_path: Path, every: int | None
) -> None:
    """It goes on from a step of the epoch that began with the best one's weights, or goes back to them once more."""
    config, undisturbed = fallen
    num_fallen = [metrics["train/roll_backs"] for metrics in undisturbed.history].index(1.0)
    folder = RunFolder(tmp_path)
    killer = threading.Thread(
        target=kill_a_worker_midway,
        args=(folder, lambda epochs, step: epochs == num_fallen and (step > 0) == (every is not None)),
        daemon=True,
    )
    killer.start()
    result = train(falling(config.data, tmp_path, checkpoint_every=every))
    assert not killer.is_alive()
    assert result.resumed_from == num_fallen
    assert result.resumed_step in ((1, 2) if every else (0,))
    assert untimed(result.history) == untimed(undisturbed.history)
    before = RunFolder(Path(config.output))
    for stored, expected in ((folder.checkpoint, before.checkpoint), (folder.epoch(6), before.epoch(6))):
        assert model_sha256(stored) == model_sha256(expected)


def test_a_finished_training_is_not_started_again(two_workers: Run) -> None:
    config, result = two_workers
    again = train(config)
    assert (again.history, again.best, again.checkpoint) == (result.history, result.best, result.checkpoint)
    assert again.resumed_from == EPOCHS
    assert again.seconds < 5


def test_a_lost_checkpoint_folder_is_made_again(two_workers: Run) -> None:
    config, result = two_workers
    info = load_info(result.checkpoint)
    shutil.rmtree(result.checkpoint)
    RunFolder(Path(config.output)).keep_best_and_last(result.history, score=config.validation.score)
    assert load_info(result.checkpoint) == info
