from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.tracking.address import CREDENTIALS, VARIABLE
from tests.mlflow_server import MlflowServer
from tests.pipeline.tracking.small_work import Work


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
