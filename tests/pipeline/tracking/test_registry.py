from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.tracking.address import store_address
from pipeline.tracking.mirror import Mirror
from pipeline.tracking.mlflow_runs import Run, TrackingStore
from pipeline.tracking.opening import open_store
from pipeline.tracking.record import RunRecord
from pipeline.tracking.registry import Registration, register
from tests.small_checkpoint import write_checkpoint

ROBUST = "validation/robust_accuracy"


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("registry") / "output")


@pytest.fixture(scope="module")
def store(output: str) -> TrackingStore:
    return open_store(store_address(output))


def best(store: TrackingStore, name: str) -> str:
    return str(store.client().get_model_version_by_alias(name, "best").run_id)


def run_of(store: TrackingStore, key: str) -> Run:
    return store.open_run(key, name=key)


def test_the_version_with_the_highest_score_is_the_best(store: TrackingStore) -> None:
    runs = [run_of(store, f"train {number}") for number in range(3)]
    for run, score, expected in zip(runs, (0.5, 0.7, 0.6), (runs[0], runs[1], runs[1]), strict=True):
        register(store.client(), run.run_id, Registration("instruments", ROBUST, score))
        assert best(store, "instruments") == expected.run_id


def test_a_run_is_one_version_however_often_it_is_said(store: TrackingStore) -> None:
    run = run_of(store, "train again")
    versions = {register(store.client(), run.run_id, Registration("once", ROBUST, 0.5)) for _ in range(2)}
    assert versions == {"1"}


def test_scores_of_another_measure_are_not_compared(store: TrackingStore) -> None:
    """The newest is then the best."""
    first, second = run_of(store, "train robust"), run_of(store, "train clean")
    register(store.client(), first.run_id, Registration("two measures", ROBUST, 0.9))
    register(store.client(), second.run_id, Registration("two measures", "validation/clean_accuracy", 0.8))
    assert best(store, "two measures") == second.run_id


def test_a_record_with_a_registration_is_registered_with_its_model(
    output: str, store: TrackingStore, tmp_path: Path
) -> None:
    """And what is missing says so before."""
    write_checkpoint(tmp_path / "checkpoint")
    record = RunRecord(
        "train named",
        "named",
        {},
        "loss",
        files={tmp_path / "checkpoint": "model"},
        status="FINISHED",
        registration=Registration("named", ROBUST, 0.5),
    )
    mirror = Mirror(store_address(output), lambda run: None)
    assert "its place among the models" in mirror.missing([record])[0]
    mirror.update([record], is_over=lambda: False)
    assert mirror.missing([record]) == []
    version = store.client().get_model_version_by_alias("named", "best")
    assert (version.run_id, version.tags["score"]) == (store.find("train named"), "0.5")
    assert str(version.source).endswith("/artifacts/model")
    folder = Path(str(version.source).removeprefix("file://"))
    assert (folder / "MLmodel").is_file()
