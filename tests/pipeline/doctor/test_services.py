"""Servers that are away, refuse or answer, and places with and without rights."""

from __future__ import annotations

import base64
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pipeline.doctor.services import data_place, mlflow, output_place
from pipeline.ports import free_port
from tests.s3_server import S3Server


class Server(HTTPServer):
    """Answers every request with one status, or 401 without the right user."""

    status = 200
    wanted = ""


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        is_known = self.headers.get("Authorization", "") == self.server.wanted
        self.send_response(self.server.status if is_known else 401)
        self.end_headers()
        if self.path.startswith("/api/2.0/mlflow/experiments/search"):
            self.wfile.write(b'{"experiments": []}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_no_server_at_all_is_in_order() -> None:
    assert mlflow("").state == "ok"


def test_a_server_that_is_away_is_a_problem_told_without_credentials() -> None:
    found = mlflow(f"http://user:hush-hush@127.0.0.1:{free_port()}?token=hush-hush")
    assert found.state == "problem"
    assert "does not answer" in found.said
    assert "hush" not in found.said + found.remedy
    assert "user" not in found.said


def test_a_server_that_answers_is_in_order_and_one_that_refuses_is_not(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"http://127.0.0.1:{server.server_port}"
    assert mlflow(address).state == "ok"
    server.wanted = "Basic " + base64.b64encode(b"me:secret-word").decode()
    assert "refuses us (401 Unauthorized)" in mlflow(address).said
    assert "MLFLOW_TRACKING_USERNAME" in mlflow(address).remedy
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret-word")
    assert mlflow(address).state == "ok"
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    assert mlflow(f"http://me:secret-word@127.0.0.1:{server.server_port}").state == "ok"
    server.wanted = "Bearer abc"
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abc")
    assert mlflow(address).state == "ok"
    server.status = 404
    assert mlflow(address).said.endswith("answers 404 Not Found")


def test_a_damaged_database_is_a_problem(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.db", tmp_path / "bad.db"
    with sqlite3.connect(good) as database:
        database.execute("CREATE TABLE runs (id TEXT)")
    database.close()
    bad.write_text("no database" * 100)
    assert mlflow(f"sqlite:///{good}").state == "ok"
    assert mlflow(f"sqlite:///{bad}").state == "problem"
    assert mlflow(f"sqlite:///{tmp_path / 'none.db'}").state == "problem"
    assert mlflow("databricks").state == "warning"


def test_a_bucket_is_written_read_and_deleted_from(s3: S3Server) -> None:
    found = output_place("s3://bucket/out")
    assert found.state == "ok"
    methods = [method for method, path in s3.requests if ".probe" in path]
    assert {"PUT", "GET", "DELETE"} <= set(methods)
    assert data_place("s3://bucket/out").state == "problem"


def test_a_bucket_that_is_not_there_is_a_problem(s3: S3Server) -> None:
    found = output_place("s3://another/out")
    assert found.state == "problem"
    assert "cannot write 's3://another/out/" in found.said
    assert "credentials" in found.remedy


def test_folders_must_be_writable_and_hold_a_data_set(tmp_path: Path) -> None:
    assert output_place(str(tmp_path / "out")).state == "ok"
    assert list(tmp_path.iterdir()) == []
    assert output_place("/proc/out").state == "problem"
    (tmp_path / "file").touch()
    assert "'" + str(tmp_path / "file") + "' is none" in output_place(str(tmp_path / "file")).said
    assert data_place(str(tmp_path)).said.endswith("has no dataset.json: it is no finished data set")
    (tmp_path / "dataset.json").write_text("{}")
    assert data_place(str(tmp_path)).state == "ok"
