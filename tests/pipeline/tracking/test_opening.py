from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.tracking.address import store_address
from pipeline.tracking.opening import EXPERIMENT, open_store
from preprocessing.errors import PlaceError

ROOT = Path(__file__).parents[3]
OPEN = """
import sys
from pipeline.tracking.mlflow_runs import load_mlflow
from pipeline.tracking.address import store_address
from pipeline.tracking.opening import open_store
load_mlflow()
print("ready", flush=True)
sys.stdin.readline()
print(open_store(store_address(sys.argv[1])).experiment_id)
"""


def test_the_default_store_is_made_beside_the_output_and_opened_again(tmp_path: Path) -> None:
    store = open_store(store_address(str(tmp_path / "deeper" / "run")))
    experiment = store.client().get_experiment(store.experiment_id)
    assert (tmp_path / "deeper" / "mlflow.db").exists()
    assert experiment.artifact_location == (tmp_path / "deeper" / "mlflow-files").as_uri()
    assert open_store(store_address(str(tmp_path / "deeper" / "other"))) == store
    store.client().delete_experiment(store.experiment_id)
    with pytest.raises(
        PlaceError, match=rf"'{EXPERIMENT}' .* is deleted; bring it back with `mlflow experiments restore"
    ):
        open_store(store_address(str(tmp_path / "deeper" / "run")))


@pytest.mark.slow
def test_processes_that_open_a_fresh_file_together_all_work(tmp_path: Path) -> None:
    """They start at the same moment, when MLflow is loaded in all of them."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(tmp_path / f"run_{number}")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    ended = [process.communicate("go\n", timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, ended
    assert {said for said, _ in ended} == {"1\n"}


@pytest.mark.parametrize("content", [b"no database at all, whatever its name says", None])
def test_a_database_that_cannot_be_opened_is_told(tmp_path: Path, content: bytes | None) -> None:
    """A file of another kind, or a folder in its place."""
    database = tmp_path / "mlflow.db"
    if content is None:
        database.mkdir()
    else:
        database.write_bytes(content)
    with pytest.raises(PlaceError, match=r"mlflow\.db' cannot be opened as the database of MLflow's runs"):
        open_store(store_address(str(tmp_path / "run")))
    assert list(tmp_path.iterdir()) == [database]
