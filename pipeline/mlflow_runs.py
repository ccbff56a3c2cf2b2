"""The runs in MLflow's tracking store, and what is written to them: the only file that knows MLflow.

Runs are found again by their key (a tag), so a resumed job goes on in its own run. Everything is written through a
client with explicit run ids: no active run, no global address, and any process can write.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ray.train import Checkpoint, UserCallback

from preprocessing.cluster.ray_internals import RunContext
from preprocessing.errors import PlaceError, SettingsError, UserError
from preprocessing.storage.places import redacted, require_writable

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

KEY_TAG = "run_key"
"""Names a run for good: what it does, where its output lies, and a hash of the settings that decide its result."""
EPOCH = "epoch"
"""The metric that numbers the points of a run."""
_MAX_PARAMS_PER_CALL = 100
_MAX_PARAM_LENGTH = 6000


def run_key(command: str, output: str, settings: Mapping[str, object]) -> str:
    """The key of the run that `command` does with these settings into `output`."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return f"{command} {output} {digest[:12]}"


@dataclass(frozen=True)
class TrackingStore:
    """The address of MLflow's tracking store and an experiment in it. Small, so that it travels to other processes."""

    uri: str
    experiment_id: str

    @property
    def is_a_local_file(self) -> bool:
        """True if only processes of this machine can write to it."""
        return self.uri.startswith("sqlite:")

    def client(self) -> MlflowClient:
        """A client of this store."""
        return _client(self.uri)

    def find(self, key: str) -> str | None:
        """The run with this key, if there is one."""
        runs = self.client().search_runs([self.experiment_id], f"tags.{KEY_TAG} = '{key}'", max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def open_run(self, key: str, *, name: str, parent: Run | None = None) -> Run:
        """The run with this key, reopened or new, in state RUNNING."""
        client = self.client()
        run_id = self.find(key)
        if run_id is None:
            tags = {KEY_TAG: key} | ({"mlflow.parentRunId": parent.run_id} if parent else {})
            run_id = str(client.create_run(self.experiment_id, run_name=name, tags=tags).info.run_id)
        else:
            client.update_run(run_id, status="RUNNING")
        return Run(store=self, run_id=run_id)


@dataclass(frozen=True)
class Run:
    """One run of a store."""

    store: TrackingStore
    run_id: str

    def log_settings(self, flat: Mapping[str, str | float]) -> None:
        """Record settings as parameters; those already recorded stay as they are."""
        from mlflow.entities import Param

        client = self.store.client()
        known = client.get_run(self.run_id).data.params
        new = [Param(key, str(value)[:_MAX_PARAM_LENGTH]) for key, value in flat.items() if key not in known]
        for start in range(0, len(new), _MAX_PARAMS_PER_CALL):
            client.log_batch(self.run_id, params=new[start : start + _MAX_PARAMS_PER_CALL])

    def log_metrics(self, metrics: Mapping[str, float | str | None], *, step: int) -> None:
        """Record the finite numbers of `metrics` under their names at `step`."""
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        numbers = [
            Metric(name, float(value), now, step)
            for name, value in metrics.items()
            if isinstance(value, int | float) and math.isfinite(value)
        ]
        self.store.client().log_batch(self.run_id, metrics=numbers)

    def complete_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Record the epochs of `history` that are not there yet: a killed job loses no point."""
        known = {point.step for point in self.store.client().get_metric_history(self.run_id, EPOCH)}
        for metrics in history:
            step = round(metrics[EPOCH])
            if step not in known:
                self.log_metrics(metrics, step=step)

    def log_files(self, folder: Path, *, name: str) -> None:
        """Keep a copy of `folder` (or of one file) as the artifact `name`."""
        client = self.store.client()
        if folder.is_dir():
            client.log_artifacts(self.run_id, str(folder), artifact_path=name)
        else:
            client.log_artifact(self.run_id, str(folder), artifact_path=name)

    def log_model(self, checkpoint: Path) -> None:
        """Keep the checkpoint as `model`, which `mlflow.pyfunc.load_model("runs:/<id>/model")` loads without pickle."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*type hint", UserWarning)  # MLflow's about its own modules
            import mlflow.pyfunc
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            mlflow.pyfunc.save_model(
                path,
                loader_module="pipeline.served_model",
                data_path=str(checkpoint),
                pip_requirements=["robust-audio-visual"],
            )
            self.log_files(path, name="model")

    def finish(self, status: str = "FINISHED") -> None:
        """End the run as `FINISHED`, `FAILED` or `KILLED`."""
        self.store.client().set_terminated(self.run_id, status)


def open_store(output: str, *, experiment: str = "robust-audio-visual") -> TrackingStore:
    """The store named by `MLFLOW_TRACKING_URI`, else a SQLite file beside `output`, made and migrated here and now.

    Several processes that open a fresh SQLite file together break it: so this runs once, in the driver.

    Raises:
        SettingsError: if `output` is no local folder and no store is named.
        PlaceError: if the store cannot be opened or written; nothing new is then left.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    location = None
    if not uri:
        if "://" in output:
            raise SettingsError(
                f"output='{output}' is not on this machine: set MLFLOW_TRACKING_URI to an MLflow server "
                "(its SQLite default needs a local folder)"
            )
        folder = Path(output).absolute().parent
        require_writable(folder, setting="the folder of output, which receives mlflow.db,")
        require_database(folder / "mlflow.db")
        folder.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        location = (folder / "mlflow-files").as_uri()
    with _refusals_of(uri):
        client = _client(uri)
        known = client.get_experiment_by_name(experiment)
        return TrackingStore(uri, known.experiment_id if known else client.create_experiment(experiment, location))


def require_database(path: Path) -> None:
    """Refuse a SQLite file that is damaged, none, or cannot be written; one that does not exist yet passes.

    Raises:
        PlaceError: before MLflow opens it.
    """
    if not os.path.lexists(path):
        return
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=10)) as database:
            database.execute("PRAGMA schema_version")
            database.execute("BEGIN IMMEDIATE")
            database.rollback()
    except sqlite3.Error as error:
        raise PlaceError(
            f"'{path}' cannot be opened as the database of MLflow's runs ({error}); move it away, or set "
            "MLFLOW_TRACKING_URI to another store"
        ) from error


@contextmanager
def _refusals_of(uri: str) -> Iterator[None]:
    """Tell that a store cannot be opened as what it is: a place that the user has named."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, CommandError, OSError) as error:
        said = redacted(str(error).strip().splitlines()[0]) if str(error) else type(error).__name__
        raise PlaceError(
            f"MLflow's store '{redacted(uri)}' cannot be opened ({said}); set MLFLOW_TRACKING_URI to one that can"
        ) from error


@contextmanager
def tracked_run(
    store: TrackingStore, key: str, *, name: str, settings: Mapping[str, str | float], parent: Run | None = None
) -> Iterator[Run]:
    """A run that ends as the block ends: FINISHED, FAILED on an error, KILLED when interrupted.

    A new run whose job was refused (`UserError`) leaves nothing.
    """
    is_new = store.find(key) is None
    run = store.open_run(key, name=name, parent=parent)
    run.log_settings(settings)
    status = "FAILED"
    try:
        yield run
        status = "FINISHED"
    except UserError:
        if is_new:
            store.client().delete_run(run.run_id)
        raise
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        if store.find(key):
            run.finish(status)


class EpochLogger(UserCallback):
    """Writes what the workers report for an epoch to a run, from the controller's process: no rank needs to."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def after_report(
        self, run_context: RunContext, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None
    ) -> None:
        """Record rank 0's metrics at their epoch."""
        self.run.log_metrics(metrics[0], step=int(metrics[0][EPOCH]))


def _client(uri: str) -> MlflowClient:
    from mlflow.tracking import MlflowClient  # slow to import: only when something is written

    return MlflowClient(tracking_uri=uri)
