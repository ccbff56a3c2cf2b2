"""A tracking server that is away, silent, broken or killed stops no work, and gets everything once when it is back."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.mlflow_runs import TrackingStore
from pipeline.tracking import recorder as recorder_module
from pipeline.tracking.address import CREDENTIALS, VARIABLE, StoreAddress, store_address
from pipeline.tracking.opening import open_store
from pipeline.tracking.record import RunRecord, Status
from pipeline.tracking.recorder import Recorder, recorded
from preprocessing.errors import DataError, PlaceError, ResourceError
from preprocessing.storage.atomic_file import write_text
from tests.mlflow_server import MlflowServer, silent_server, stubborn_server

ROOT = Path(__file__).parents[3]
AWAY = "http://127.0.0.1:9"
"""Nobody listens at this port."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"), "--allowed-hosts", "127.0.0.1:*")
    server.start()
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """No store is named and no credentials are set; as before afterwards."""
    for name in (VARIABLE, *CREDENTIALS):
        monkeypatch.setenv(name, "")  # remembered, so that it is put back
        monkeypatch.delenv(name)


class Work:
    """A job that stores epochs in a file, which is all that its recorder sees."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key
        folder.mkdir(exist_ok=True)
        self.store()

    def read(self, status: Status) -> Sequence[RunRecord]:
        history = json.loads((self.folder / "history.json").read_text())
        points = {each["epoch"]: each for each in history}
        files = [self.folder / "result.txt"] if (self.folder / "result.txt").exists() else []
        return [RunRecord(self.key, "work", {"epochs": 3}, "loss", points, dict.fromkeys(files, "report"), status)]

    def store(self, *epochs: int) -> None:
        history = [{"epoch": each, "loss": 1 / each} for each in epochs]
        write_text(self.folder / "history.json", json.dumps(history))

    def finish(self) -> None:
        write_text(self.folder / "result.txt", "done")


@pytest.fixture
def work(tmp_path: Path, request: pytest.FixtureRequest) -> Work:
    return Work(tmp_path / "run", f"train {request.node.name}")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose SQLite store is made once, which takes seconds."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def local_work(runs: Path, request: pytest.FixtureRequest) -> Work:
    """Work that is recorded in the store of `runs`."""
    return Work(runs / request.node.name, f"train {request.node.name}")


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
    assert f"MLflow: {server.uri}/#/experiments/{store.experiment_id}/runs/{run_id}" in caplog.messages


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


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, "broken"), "it answers with errors of its own, such as 500"),
        ((403, "no"), r"it refuses access \(403\); set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        ((200, "<html>another server"), "not in a valid JSON format"),
        (None, "it does not answer|no answer in"),
    ],
)
def test_a_server_that_cannot_be_used_is_told_before_work_begins(
    answer: tuple[int, str] | None,
    said: str,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(recorder_module, "SECONDS_TO_OPEN", 3.0)
    began = time.monotonic()
    with stubborn_server(*answer) if answer else silent_server() as uri:
        monkeypatch.setenv(VARIABLE, uri.replace("://", "://user:hush-hush@"))
        with (
            pytest.raises(ResourceError, match=f"MLflow's store '{uri}' cannot be used: .*({said})") as caught,
            recorded(work.read, output=str(work.folder)),
        ):
            pytest.fail("work began")
    assert time.monotonic() - began < 10
    assert "--tracking optional" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value) + caplog.text
    assert caught.value.__suppress_context__
    assert caplog.messages == []


def test_nobody_at_the_address_is_told_at_once(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, AWAY)
    with pytest.raises(ResourceError, match="nobody listens there"), recorded(work.read, output=str(work.folder)):
        pytest.fail("work began")


def test_a_host_that_the_server_does_not_allow_is_told_with_the_remedy(
    server: MlflowServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, server.uri.replace("127.0.0.1", "localhost"))
    with (
        pytest.raises(
            ResourceError, match=r"403, Invalid Host header\); start it with `mlflow server --allowed-hosts`"
        ),
        recorded(work.read, output=str(work.folder)),
    ):
        pytest.fail("work began")


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


def test_a_store_of_an_unknown_kind_is_told_without_its_password(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "nonsense://user:hush-hush@host/")
    with (
        pytest.raises(ResourceError, match=r"MLflow's store 'nonsense://\*\*\*@host/' cannot be used") as caught,
        recorded(work.read, output=str(work.folder)),
    ):
        pytest.fail("work began")
    assert "hush" not in str(caught.value)


def test_a_damaged_database_is_told_before_work_begins(work: Work) -> None:
    (work.folder.parent / "mlflow.db").write_text("no database")
    with pytest.raises(PlaceError, match=r"mlflow\.db' cannot be opened"), recorded(work.read, output=str(work.folder)):
        pytest.fail("work began")


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
