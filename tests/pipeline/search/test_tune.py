from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import ray
import yaml
from ray.util.state import list_actors

from pipeline.search.report import METRIC
from pipeline.search.space import Choice, Uniform
from pipeline.search.tune import (
    SETTINGS_NAME,
    SuccessiveHalving,
    TrialRecorder,
    TuneConfig,
    begin,
    concurrent_trials,
    search,
)
from pipeline.settings.load import load, override
from pipeline.tracking.address import store_address
from pipeline.tracking.mlflow_runs import TrackingStore
from pipeline.tracking.opening import open_store
from preprocessing.errors import UserError
from training.attacks import FGSM
from training.config import TrainConfig, ValidationConfig
from training.models import ModelConfig
from training.objectives import Standard
from training.optimization import OptimizerConfig


def small_search(data: Path, output: Path, *, trials: int, epochs: int) -> TuneConfig:
    train = TrainConfig(
        data=str(data),
        output=str(output),
        objective=Standard(),
        model=ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=16),
        epochs=epochs,
        batch_size=8,
        optimizer=OptimizerConfig(learning_rate=3e-3),
        validation=ValidationConfig(attacks=(FGSM(),), limit=8),
    )
    return TuneConfig(
        data=str(data),
        output=str(output),
        train=train,
        space={
            "optimizer.learning_rate": Choice(values=(1e-9, 1e-2)),
            "optimizer.weight_decay": Uniform(low=0, high=1),
        },
        trials=trials,
        early_stopping=SuccessiveHalving(grace_epochs=1),
    )


def all_cpus_become_free() -> bool:
    deadline = time.monotonic() + 30
    while (free := ray.available_resources().get("CPU", 0)) < 2 and time.monotonic() < deadline:  # type: ignore[no-untyped-call]
        time.sleep(0.5)
    return bool(free == 2)


def kill_a_worker(output: Path) -> None:
    """SIGKILL the worker of a search's only trial as soon as its first epoch is stored."""
    pid = None
    while pid is None:
        alive = list_actors(filters=[("state", "=", "ALIVE")], detail=True)
        pid = next((actor.pid for actor in alive if actor.class_name == "RayTrainWorker"), None)
    while not list(output.glob("trials/*/epochs/000001")):
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)


def test_a_trial_is_an_ordinary_training_with_its_own_output(tmp_path: Path) -> None:
    config = small_search(tmp_path / "data", tmp_path / "out", trials=1, epochs=1)
    trial = config.trial({"optimizer.learning_rate": 0.5}, "t1")
    assert trial.output == f"{tmp_path}/out/trials/t1"
    assert trial.optimizer.learning_rate == 0.5
    assert trial.validation == config.train.validation


def test_as_many_trials_run_as_the_cpus_allow(ray_session: None) -> None:
    train = TrainConfig(data="data", output="output")
    assert concurrent_trials(train) == 2
    assert concurrent_trials(train.model_copy(update={"workers": 2})) == 1
    with pytest.raises(ValueError, match="2 workers with 2 CPU each: Ray has 2 CPU in all"):
        concurrent_trials(train.model_copy(update={"workers": 2, "cpus_per_worker": 2}))


@pytest.mark.parametrize(("encoder", "goes_on_with"), [("tiny", "synchronised"), ("resnet18", "local")])
def test_a_search_of_an_earlier_version_goes_on_with_the_statistics_that_it_had(
    tmp_path: Path, encoder: str, goes_on_with: str
) -> None:
    """It did not note them; a model without batch normalisation has none."""
    config = override(
        small_search(tmp_path / "data", tmp_path / "out", trials=2, epochs=1), {"train.model.video_encoder": encoder}
    )
    begin(config)
    path = tmp_path / "out" / SETTINGS_NAME
    path.write_text(path.read_text().replace("  batch_norm: synchronised\n", ""))
    assert "batch_norm" not in path.read_text()
    begin(override(config, {"train.batch_norm": goes_on_with}))


def test_another_search_in_the_same_output_is_refused(tmp_path: Path) -> None:
    config = small_search(tmp_path / "data", tmp_path / "out", trials=2, epochs=1)
    begin(config)
    begin(config)
    with pytest.raises(ValueError, match="holds another search") as caught:
        begin(small_search(tmp_path / "data", tmp_path / "out", trials=3, epochs=1))
    assert "trials: 2 there, 3 now" in str(caught.value)


def test_what_tune_keeps_of_the_recorder_knows_no_store(tmp_path: Path) -> None:
    """Also of one that an earlier version has kept: it held MLflow's address, maybe with a password."""
    config = small_search(tmp_path / "data", tmp_path / "out", trials=2, epochs=1)
    earlier = TrialRecorder(config)
    vars(earlier).update(store=TrackingStore("http://user:hush-hush@host", "1"))
    kept = pickle.loads(pickle.dumps(earlier))
    assert vars(kept) == {"config": config}
    assert b"hush-hush" not in pickle.dumps(kept)


def test_a_search_of_an_earlier_version_goes_on_if_its_retired_settings_changed_nothing(tmp_path: Path) -> None:
    config = override(
        small_search(tmp_path / "data", tmp_path / "out", trials=2, epochs=1), {"train.objective.name": "tma_at"}
    )
    begin(config)
    file = tmp_path / "out" / "tune.yaml"
    stored = yaml.safe_load(file.read_text())
    stored["train"]["warm_start_mib"] = 2048
    stored["train"]["objective"]["crafting"] |= {"warm_start": False, "context": "none"}
    file.write_text(yaml.safe_dump(stored))
    begin(config)
    file.write_text(file.read_text().replace("warm_start: false", "warm_start: true"))
    with pytest.raises(ValueError, match=r"begun with train\.objective\.crafting\.warm_start=True, which this version"):
        begin(config)


@pytest.mark.slow
def test_a_search_finds_settings_frees_its_cpus_and_nests_its_runs(
    tiny_dataset: Path, tmp_path: Path, ray_session: None
) -> None:
    """Four trials, two at a time; those that learn nothing (rate 1e-9) are stopped; a second call does nothing."""
    config = small_search(tiny_dataset, tmp_path / "search", trials=4, epochs=4)
    result = search(config)
    assert len(result.trials) == 4
    assert any(trial.status == "stopped early" for trial in result.trials)
    assert result.best.robust_accuracy == max(trial.robust_accuracy for trial in result.trials)
    assert all_cpus_become_free()

    best = load(TrainConfig, tmp_path / "search" / "best.yaml", ["data=data", "output=output"])
    assert best.optimizer.learning_rate == result.best.settings["optimizer.learning_rate"]
    written = json.loads((tmp_path / "search" / "search.json").read_text())
    assert [trial["trial_id"] for trial in written["trials"]] == [trial.trial_id for trial in result.trials]
    assert (tmp_path / "search" / "search.png").stat().st_size > 10_000

    store = open_store(store_address(config.output))
    client = store.client()
    parent = store.find(f"tune {config.output}")
    children = client.search_runs([store.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert [child.info.status for child in children] == ["FINISHED"] * 4
    for trial in result.trials:
        run_id = store.find(f"trial {config.output} {trial.trial_id}")
        assert run_id
        logged = tuple(point.step for point in client.get_metric_history(run_id, METRIC))
        assert logged[: len(trial.epochs)] == trial.epochs
        assert len(logged) == len(trial.epochs) or trial.status == "stopped early"  # it may end the epoch it is at

    again = search(config)
    assert {trial.trial_id for trial in again.trials} == {trial.trial_id for trial in result.trials}


@pytest.mark.slow
def test_a_trial_that_loses_its_worker_goes_on_and_frees_its_cpus(
    tiny_dataset: Path, tmp_path: Path, ray_session: None
) -> None:
    config = small_search(tiny_dataset, tmp_path / "search", trials=1, epochs=6)
    killer = threading.Thread(target=kill_a_worker, args=(tmp_path / "search",), daemon=True)
    killer.start()
    [trial] = search(config).trials
    assert not killer.is_alive()
    assert (trial.status, trial.epochs[-1]) == ("finished", 6)
    assert all_cpus_become_free()


@pytest.mark.slow
def test_a_users_mistake_that_a_trial_finds_ends_the_search_as_one(
    tiny_dataset: Path, tmp_path: Path, ray_session: None
) -> None:
    """A damaged shard is found by the workers of a trial, each of which is a process of its own."""
    data = shutil.copytree(tiny_dataset, tmp_path / "data")
    shard = data / "train" / "000000.tar"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"train/000000\.tar' is damaged"):
        search(small_search(data, tmp_path / "search", trials=1, epochs=1))
    assert not (tmp_path / "search" / "best.yaml").exists()
