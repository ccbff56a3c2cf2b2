from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from pipeline.tracking.address import store_address
from pipeline.tracking.mlflow_runs import TrackingStore, run_key
from pipeline.tracking.opening import open_store
from pipeline.tracking.record import DataNote
from preprocessing.storage.provenance import commit


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrackingStore:
    return open_store(store_address(str(tmp_path_factory.mktemp("tracking") / "output")))


def test_a_run_holds_settings_numbers_and_files(store: TrackingStore, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    settings: dict[str, str | float] = {f"group.setting_{number}": number for number in range(120)}
    settings["long"] = "x" * 10_000
    run = store.open_run("train a", name="a")
    run.log_settings(settings)
    run.log_metrics({"epoch": 1, "train/loss": 0.5, "note": "text", "bad": float("nan")}, step=1, milliseconds=5)
    run.log_files(tmp_path / "report.json", name="report", sha256="abc")
    data = store.client().get_run(run.run_id)
    assert data.data.params["group.setting_7"] == "7"
    assert len(data.data.params["long"]) == 6000
    assert data.data.metrics == {"epoch": 1, "train/loss": 0.5}
    assert [file.path for file in store.client().list_artifacts(run.run_id, "report")] == ["report/report.json"]
    assert run.held().contents == {"report.json": "abc"}


def test_a_run_says_what_code_made_it_and_which_data_it_read(store: TrackingStore) -> None:
    """Once, however often it is opened; new content under the same name is another data set."""
    run = store.open_run("train d", name="d")
    for _ in range(2):
        run.log_source()
        run.log_data(DataNote("/runs/ks/dataset", "a" * 64, "training"))
    found = store.client().get_run(run.run_id)
    tags = found.data.tags
    assert tags["mlflow.source.name"] == "robust-audio-visual"
    assert tags["host"] == socket.gethostname()
    assert tags["dataset_sha256"] == "a" * 64
    assert tags.get("mlflow.source.git.commit") == commit()
    assert found.inputs is not None
    (data,) = found.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("dataset", "a" * 36)
    assert json.loads(data.dataset.source) == {"uri": "/runs/ks/dataset"}
    assert [(tag.key, tag.value) for tag in data.tags] == [("mlflow.data.context", "training")]


def test_what_is_said_again_is_not_there_twice(store: TrackingStore) -> None:
    """A call whose answer was lost is made again, with the same time."""
    run = store.open_run("train b", name="b")
    for _ in range(2):
        run.log_settings({"epochs": 2})
        run.log_metrics({"epoch": 1, "train/loss": 0.5}, step=1, milliseconds=5)
    assert len(store.client().get_metric_history(run.run_id, "train/loss")) == 1
    assert run.points("train/loss") == {(1, 0.5)}


def test_a_run_is_found_again_by_its_key_as_it_is(store: TrackingStore) -> None:
    first = store.open_run("train c", name="c")
    assert first.is_new
    first.set_status("KILLED")
    second = store.open_run("train c", name="c")
    assert (second, second.is_new, second.held().status) == (first, False, "KILLED")
    second.set_status("RUNNING")
    assert second.held().status == "RUNNING"


def test_a_child_names_its_parent(store: TrackingStore) -> None:
    parent = store.open_run("tune", name="tune")
    child = store.open_run("tune trial 1", name="trial 1", parent=parent)
    tags = store.client().get_run(child.run_id).data.tags
    assert tags["mlflow.parentRunId"] == parent.run_id


def test_other_settings_are_another_run_and_their_order_is_not() -> None:
    key = run_key("train", "out", {"epochs": 1, "seed": 2})
    assert key == run_key("train", "out", {"seed": 2, "epochs": 1})
    assert key != run_key("train", "out", {"epochs": 1, "seed": 3})
