"""Real trainings whose MLflow server is away, and the credentials of its address, which must appear nowhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.tracking.address import StoreAddress
from pipeline.tracking.opening import open_store
from tests.mlflow_server import MlflowServer

ROOT = Path(__file__).parents[3]
SECRET = "hush-hush-hush"
EPOCHS = 60
"""Enough that the training goes on for some seconds after the server has died."""
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    (tmp_path / "mlflow").mkdir()
    server = MlflowServer(tmp_path / "mlflow")
    server.start()
    yield server
    server.kill()


def start(data: Path, output: Path, log: Path, *, uri: str) -> subprocess.Popen[bytes]:
    words = [
        "train", "pipeline/configs/train/standard.yaml", f"data={data}", f"output={output}", "batch_size=8",
        f"epochs={EPOCHS}", "model={video_encoder: tiny, audio_encoder: tiny, feature_size: 16}",
        "validation.attacks=[{name: fgsm}]",
    ]  # fmt: skip
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", "--traceback", *words],
            cwd=ROOT,
            env=os.environ | {"MLFLOW_TRACKING_URI": uri},
            stdout=stream,
            stderr=stream,
        )


def processes_below(pid: int) -> list[Path]:
    """The folders in /proc of all processes that a process has started, directly or not."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [each for child in children for each in (Path(f"/proc/{child}"), *processes_below(int(child)))]


def session_folder(processes: list[Path]) -> Path:
    commands = b"\n".join((each / "cmdline").read_bytes() for each in processes)
    found = re.search(rb"/tmp/ray-\w+", commands)
    assert found
    return Path(found[0].decode())


def files_with_the_secret(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file() and SECRET.encode() in each.read_bytes()]


@pytest.mark.slow
def test_a_training_outlives_its_server_and_shows_no_password(
    tiny_dataset: Path, tmp_path: Path, server: MlflowServer
) -> None:
    """The server dies after the first epoch; the command that is run again sends what it has missed."""
    output, log, uri = tmp_path / "runs" / "out", tmp_path / "log", server.uri.replace("://", f"://user:{SECRET}@")
    process = start(tiny_dataset, output, log, uri=uri)
    while not (output / "history.jsonl").exists():
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    server.kill()
    processes = processes_below(process.pid)
    assert [each for each in processes if SECRET.encode() in (each / "environ").read_bytes()] == []
    assert files_with_the_secret(session_folder(processes)) == []
    assert process.wait(280) == 0, log.read_text()
    said = log.read_text()
    assert said.count("is away: nobody listens there. Work goes on") == 1
    assert f"It is safe in '{output}': the same command sends it" in said
    assert (output / "checkpoint" / "model.safetensors").exists()

    server.start()
    began = time.monotonic()
    assert start(tiny_dataset, output, tmp_path / "again", uri=uri).wait(280) == 0, (tmp_path / "again").read_text()
    assert time.monotonic() - began < 200
    store = open_store(StoreAddress(server.uri))
    [run] = store.client().search_runs([store.experiment_id])
    assert run.info.status == "FINISHED"
    points = store.client().get_metric_history(run.info.run_id, "train/loss")
    assert [point.step for point in points] == list(range(1, EPOCHS + 1))
    assert "model/MLmodel" in [each.path for each in store.client().list_artifacts(run.info.run_id, "model")]
    assert files_with_the_secret(tmp_path) == []
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_training_whose_server_is_away_is_refused_in_a_line(tiny_dataset: Path, tmp_path: Path) -> None:
    process = start(tiny_dataset, tmp_path / "out", tmp_path / "log", uri=f"http://user:{SECRET}@127.0.0.1:9")
    assert process.wait(200) == 2
    said = (tmp_path / "log").read_text()
    assert "error: MLflow's store 'http://127.0.0.1:9' cannot be used: nobody listens there" in said
    assert SECRET not in said
    assert not (tmp_path / "out").exists()
