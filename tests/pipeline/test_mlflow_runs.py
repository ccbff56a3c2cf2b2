from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.mlflow_runs import TrackingStore, open_store, run_key, tracked_run
from preprocessing.errors import DataError, PlaceError


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrackingStore:
    return open_store(str(tmp_path_factory.mktemp("tracking") / "output"))


def history(store: TrackingStore, run_id: str, metric: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in store.client().get_metric_history(run_id, metric)]


def test_the_default_store_lies_beside_the_output(store: TrackingStore, tmp_path: Path) -> None:
    assert store.is_a_local_file
    database = Path(store.uri.removeprefix("sqlite:///"))
    assert database.name == "mlflow.db"
    assert database.exists()
    experiment = store.client().get_experiment(store.experiment_id)
    assert experiment.artifact_location == (database.parent / "mlflow-files").as_uri()


def test_opening_a_store_twice_gives_the_same_experiment(store: TrackingStore) -> None:
    database = Path(store.uri.removeprefix("sqlite:///"))
    assert open_store(str(database.parent / "another_output")) == store


def test_an_output_elsewhere_needs_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ValueError, match="set MLFLOW_TRACKING_URI to an MLflow server"):
        open_store("s3://bucket/output")


def test_the_environment_names_another_store(monkeypatch: pytest.MonkeyPatch, store: TrackingStore) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    assert open_store("s3://bucket/output") == store


def test_a_run_holds_settings_epochs_and_files_and_ends_finished(store: TrackingStore, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    settings: dict[str, str | float] = {f"group.setting_{number}": number for number in range(120)}
    settings["long"] = "x" * 10_000
    with tracked_run(store, "train a", name="a", settings=settings) as run:
        run.log_metrics({"epoch": 1, "train/loss": 0.5, "note": "text", "bad": float("nan")}, step=1)
        run.log_files(tmp_path / "report.json", name="report")
    data = store.client().get_run(run.run_id)
    assert data.info.status == "FINISHED"
    assert data.data.params["group.setting_7"] == "7"
    assert len(data.data.params["long"]) == 6000
    assert data.data.metrics == {"epoch": 1, "train/loss": 0.5}
    assert [file.path for file in store.client().list_artifacts(run.run_id, "report")] == ["report/report.json"]


def test_a_run_with_the_same_key_goes_on_and_gets_only_the_missing_epochs(store: TrackingStore) -> None:
    with tracked_run(store, "train b", name="b", settings={"epochs": 2}) as first:
        first.log_metrics({"epoch": 1, "train/loss": 0.5}, step=1)
    with tracked_run(store, "train b", name="b", settings={"epochs": 2}) as second:
        assert store.client().get_run(second.run_id).info.status == "RUNNING"
        second.complete_history([{"epoch": 1, "train/loss": 9.0}, {"epoch": 2, "train/loss": 0.25}])
    assert second == first
    assert history(store, first.run_id, "train/loss") == [(1, 0.5), (2, 0.25)]


def test_a_child_names_its_parent(store: TrackingStore) -> None:
    with tracked_run(store, "tune", name="tune", settings={}) as parent:
        child = store.open_run("tune trial 1", name="trial 1", parent=parent)
    tags = store.client().get_run(child.run_id).data.tags
    assert tags["mlflow.parentRunId"] == parent.run_id


@pytest.mark.parametrize(
    ("error", "status"),
    [(RuntimeError("broken"), "FAILED"), (KeyboardInterrupt(), "KILLED"), (SystemExit(15), "KILLED")],
)
def test_a_run_that_breaks_off_says_so(store: TrackingStore, error: BaseException, status: str) -> None:
    key = f"train {type(error).__name__}"
    with pytest.raises(type(error)), tracked_run(store, key, name=key, settings={}):
        raise error
    run_id = store.find(key)
    assert run_id is not None
    assert store.client().get_run(run_id).info.status == status


def test_other_settings_are_another_run_and_their_order_is_not() -> None:
    key = run_key("train", "out", {"epochs": 1, "seed": 2})
    assert key == run_key("train", "out", {"seed": 2, "epochs": 1})
    assert key != run_key("train", "out", {"epochs": 1, "seed": 3})


def test_a_refused_job_leaves_no_run(store: TrackingStore) -> None:
    with pytest.raises(DataError, match="refused"), tracked_run(store, "train new", name="new", settings={}):
        raise DataError("refused")
    assert store.find("train new") is None


@pytest.mark.parametrize("content", [b"no database at all, whatever its name says", None])
def test_a_database_that_cannot_be_opened_is_told(tmp_path: Path, content: bytes | None) -> None:
    """A file of another kind, or a folder in its place."""
    database = tmp_path / "mlflow.db"
    if content is None:
        database.mkdir()
    else:
        database.write_bytes(content)
    with pytest.raises(PlaceError, match=r"mlflow\.db' cannot be opened as the database of MLflow's runs"):
        open_store(str(tmp_path / "run"))
    assert list(tmp_path.iterdir()) == [database]


@pytest.mark.parametrize("output", ["/proc/run", "/dev/null/run", "/dev/null/deeper/run"])
def test_a_place_that_cannot_be_written_is_told(output: str) -> None:
    with pytest.raises(PlaceError, match=r"mlflow\.db"):
        open_store(output)


def test_a_store_of_an_unknown_kind_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://user:hush-hush@host/")
    with pytest.raises(PlaceError, match="MLflow's store 'nonsense://") as caught:
        open_store("/tmp/run")
    assert "hush" not in str(caught.value)
