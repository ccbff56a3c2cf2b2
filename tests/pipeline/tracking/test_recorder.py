"""A tracking server that is away, silent, broken or killed stops no work, and gets everything once when it is back."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.tracking import recorder as recorder_module
from pipeline.tracking.address import VARIABLE, StoreAddress, store_address
from pipeline.tracking.mlflow_runs import TrackingStore
from pipeline.tracking.opening import open_store
from pipeline.tracking.record import RunRecord, Status
from pipeline.tracking.recorder import Recorder, recorded
from preprocessing.errors import DataError
from tests.mlflow_server import MlflowServer, silent_server
from tests.pipeline.tracking.small_work import Work

ROOT = Path(__file__).parents[3]
AWAY = "http://127.0.0.1:9"
"""Nobody listens at this port."""


def points(store: TrackingStore, key: str, metric: str = "loss") -> list[tuple[int, float]]:
    run_id = store.find(key)
    assert run_id
    return [(each.step, each.value) for each in store.client().get_metric_history(run_id, metric)]


def status(store: TrackingStore, key: str) -> str:
    run_id = store.find(key)
    assert run_id
    return str(store.client().get_run(run_id).info.status)


def wait_until(text: str, caplog: pytest.LogCaptureFixture, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while text not in caplog.text:
        assert time.monotonic() < deadline, caplog.text
        time.sleep(0.05)


@pytest.mark.slow
def test_a_server_that_dies_gets_every_point_once_when_it_is_back(
    server: MlflowServer, work: Work, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, server.uri)
    monkeypatch.setattr(recorder_module, "LONGEST_PAUSE_SECONDS", 2.0)
    caplog.set_level(logging.INFO)
    with recorded(work.read, output=str(work.folder)):
        work.store(1)
        store = open_store(StoreAddress(server.uri))
        while points(store, work.key) != [(1, 1.0)]:
            time.sleep(0.2)
        server.kill()
        work.store(1, 2)
        wait_until("is away: nobody listens there. Work goes on", caplog)
        work.store(1, 2, 3)
        server.start()
        wait_until("is back and has got everything", caplog)
        work.finish()
    assert points(store, work.key) == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert status(store, work.key) == "FINISHED"
    run_id = store.find(work.key)
    assert run_id
    assert [each.path for each in store.client().list_artifacts(run_id, "report")] == ["report/result.txt"]
    assert caplog.text.count(" is away") == caplog.text.count(" is back and") == 1
    assert f"MLflow: {StoreAddress(server.uri).page(store.experiment_id, run_id)}" in caplog.messages


def test_work_ends_well_when_mlflow_is_away_at_the_end_and_the_same_command_sends_the_rest(
    server: MlflowServer, work: Work, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recorder_module, "SECONDS_TO_END", 1.0)
    monkeypatch.setenv(VARIABLE, AWAY)
    began = time.monotonic()
    with recorded(work.read, output=str(work.folder), tracking="optional"):
        work.store(1, 2)
        work.finish()
    assert time.monotonic() - began < 10
    assert caplog.messages[-1] == (
        f"MLflow's store '{AWAY}' has not got: of 'work' 2 of its points, result.txt, its state "
        f"(nobody listens there). It is safe in '{work.folder}': the same command sends it"
    )
    monkeypatch.setenv(VARIABLE, server.uri)
    for _ in range(2):
        with recorded(work.read, output=str(work.folder)):
            pass
    store = open_store(StoreAddress(server.uri))
    assert points(store, work.key) == [(1, 1.0), (2, 0.5)]
    assert status(store, work.key) == "FINISHED"


def test_a_silent_server_delays_neither_work_nor_its_end(
    work: Work, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The end waits for the call under way, one more, and the time for further tries."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr(recorder_module, "SECONDS_TO_END", 1.0)
    with silent_server() as uri:
        monkeypatch.setenv(VARIABLE, uri)
        began = time.monotonic()
        with recorded(work.read, output=str(work.folder), tracking="optional"):
            work.store(1)
            assert time.monotonic() - began < 1
        assert time.monotonic() - began < 8
    assert "(it does not answer)" in caplog.messages[-1]


def test_a_command_without_tracking_leaves_mlflow_alone(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "nonsense://user:hush@host")
    with recorded(work.read, output=str(work.folder), tracking="off"):
        work.finish()
    assert sorted(each.name for each in work.folder.parent.iterdir()) == ["run"]


@pytest.mark.parametrize(
    ("error", "ended"),
    [(RuntimeError("broken"), "FAILED"), (KeyboardInterrupt(), "KILLED"), (SystemExit(15), "KILLED")],
)
def test_work_that_breaks_off_is_recorded_as_that(error: BaseException, ended: str, local_work: Work) -> None:
    with pytest.raises(type(error)), recorded(local_work.read, output=str(local_work.folder)):
        raise error
    assert status(open_store(store_address(str(local_work.folder))), local_work.key) == ended


def test_a_refused_job_leaves_no_run_unless_it_has_points(local_work: Work) -> None:
    def refuse(*epochs: int) -> None:
        with recorded(local_work.read, output=str(local_work.folder)):
            local_work.store(*epochs)
            raise DataError("refused")

    for epochs in ((), (1,)):
        with pytest.raises(DataError, match="refused"):
            refuse(*epochs)
        store = open_store(store_address(str(local_work.folder)))
        assert (store.find(local_work.key) is not None) == bool(epochs)
    assert status(store, local_work.key) == "FAILED"


KILLED = """
import sys, time
from pathlib import Path
from pipeline.tracking.recorder import recorded
from tests.pipeline.tracking.test_recorder import Work
work = Work(Path(sys.argv[1]), sys.argv[2])
with recorded(work.read, output=sys.argv[1]):
    work.store(1)
    time.sleep(600)
"""


def test_a_driver_that_is_killed_loses_no_point_and_doubles_none(local_work: Work) -> None:
    store = open_store(store_address(str(local_work.folder)))
    killed = subprocess.Popen([sys.executable, "-c", KILLED, str(local_work.folder), local_work.key], cwd=ROOT)
    while not store.find(local_work.key) or not points(store, local_work.key):
        assert killed.poll() is None
        time.sleep(0.1)
    local_work.store(1, 2)
    killed.kill()
    killed.wait()
    assert status(store, local_work.key) == "RUNNING"
    with recorded(local_work.read, output=str(local_work.folder)):
        local_work.store(1, 2, 3)
    assert points(store, local_work.key) == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert status(store, local_work.key) == "FINISHED"


def test_a_run_that_a_user_deletes_is_made_anew_with_all_its_points(
    server: MlflowServer, work: Work, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, server.uri)
    caplog.set_level(logging.INFO)
    with recorded(work.read, output=str(work.folder)):
        store = open_store(StoreAddress(server.uri))
        work.store(1)
        while points(store, work.key) != [(1, 1.0)]:
            time.sleep(0.2)
        store.client().delete_run(store.find(work.key) or "")
        work.store(1, 2)
    assert points(store, work.key) == [(1, 1.0), (2, 0.5)]


def test_a_trial_is_a_part_of_its_search(local_work: Work) -> None:
    def read(status: Status) -> Sequence[RunRecord]:
        [search] = local_work.read(status)
        return [search, replace(search, key="trial", name="trial", parent=search.key)]

    with recorded(read, output=str(local_work.folder)):
        local_work.store(1)
    store = open_store(store_address(str(local_work.folder)))
    run_id = store.find("trial")
    assert run_id
    assert store.client().get_run(run_id).data.tags["mlflow.parentRunId"] == store.find(local_work.key)
    assert points(store, "trial") == [(1, 1.0)]


def test_everything_that_is_not_sent_is_told(work: Work) -> None:
    recorder = Recorder(StoreAddress(AWAY), work.read, output=str(work.folder))
    assert recorder.missing() == ["of 'work' its state"]
    work.store(1, 2)
    work.finish()
    assert recorder.missing() == ["of 'work' 2 of its points, result.txt, its state"]
