"""The runs in MLflow's tracking store, and what is written to them.

Runs are found again by their key (a tag), so a resumed job goes on in its own run. Everything is written through a
client with explicit run ids, with no active run and no global address. Everything can be written again: what a store
has already is left as it is, so that a call whose answer was lost does no harm.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import math
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline.tracking.model_folder import save_served_model
from pipeline.tracking.record import DataNote
from pipeline.tracking.registry import Registration, register
from preprocessing.storage.provenance import PROJECT, commit, project_version

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

KEY_TAG = "run_key"
"""Names a run for good: what it does, where its output lies, and a hash of the settings that decide its result."""
CONTENT_TAG = "content_sha256."
"""Begins the tag that says which content of a file a run holds."""
DATA_TAG = "dataset_sha256"
"""Names the content of the data set that a run reads."""
EPOCH = "epoch"
"""The metric that numbers the points of a run."""
_MAX_PARAMS_PER_CALL = 100
_MAX_PARAM_LENGTH = 6000
_MAX_DIGEST_LENGTH = 36


def run_key(command: str, output: str, settings: Mapping[str, object]) -> str:
    """The key of the run that `command` does with these settings into `output`."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return f"{command} {output} {digest[:12]}"


@dataclass(frozen=True)
class TrackingStore:
    """An experiment in MLflow's tracking store."""

    uri: str
    experiment_id: str

    def client(self) -> MlflowClient:
        """A client of this store."""
        return load_mlflow()(tracking_uri=self.uri)

    def find(self, key: str) -> str | None:
        """The run with this key, if there is one."""
        runs = self.client().search_runs([self.experiment_id], f"tags.{KEY_TAG} = '{key}'", max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def open_run(self, key: str, *, name: str, parent: Run | None = None) -> Run:
        """The run with this key, as it is or new and in state RUNNING."""
        run_id = self.find(key)
        if run_id is not None:
            return Run(store=self, run_id=run_id)
        tags = {KEY_TAG: key} | ({"mlflow.parentRunId": parent.run_id} if parent else {})
        created = self.client().create_run(self.experiment_id, run_name=name, tags=tags)
        return Run(store=self, run_id=str(created.info.run_id), is_new=True)


@dataclass(frozen=True)
class Held:
    """The content of a run, beside its points."""

    status: str
    contents: Mapping[str, str]
    """The SHA-256 of every file or folder that is there as a whole, by its name."""


@dataclass(frozen=True)
class Run:
    """One run of a store."""

    store: TrackingStore
    run_id: str
    is_new: bool = field(default=False, compare=False)
    """True if nobody has written to it before."""

    def log_settings(self, flat: Mapping[str, str | float]) -> None:
        """Record settings as parameters; those already recorded stay as they are."""
        from mlflow.entities import Param

        client = self.store.client()
        known = client.get_run(self.run_id).data.params
        new = [Param(key, str(value)[:_MAX_PARAM_LENGTH]) for key, value in flat.items() if key not in known]
        for start in range(0, len(new), _MAX_PARAMS_PER_CALL):
            client.log_batch(self.run_id, params=new[start : start + _MAX_PARAMS_PER_CALL])

    def log_source(self) -> None:
        """Record the code and the machine that work on it now, in the tags that MLflow's pages show."""
        from mlflow.entities import RunTag

        tags = {
            "mlflow.source.name": PROJECT,
            "mlflow.source.type": "PROJECT",
            "mlflow.source.git.commit": commit(),
            "mlflow.user": _user(),
            "host": socket.gethostname(),
            "version": project_version(),
        }
        known = [RunTag(name, value) for name, value in tags.items() if value]
        self.store.client().log_batch(self.run_id, tags=known)

    def log_data(self, data: DataNote) -> None:
        """Record the data set that it reads; MLflow keeps as much of the hash as it can, a tag all of it."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        client = self.store.client()
        if client.get_run(self.run_id).data.tags.get(DATA_TAG) == data.sha256:
            return
        dataset = Dataset(
            name=data.place.rstrip("/").rpartition("/")[2] or data.place,
            digest=data.sha256[:_MAX_DIGEST_LENGTH],
            source_type="local" if "://" not in data.place else data.place.partition("://")[0],
            source=json.dumps({"uri": data.place}),
        )
        client.log_inputs(self.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", data.context)])])
        client.set_tag(self.run_id, DATA_TAG, data.sha256)

    def log_metrics(self, metrics: Mapping[str, float | str | None], *, step: int, milliseconds: int) -> None:
        """Record the finite numbers of `metrics` under their names at `step`, as measured at this time since 1970.

        Said again with the same time, it changes nothing.
        """
        from mlflow.entities import Metric

        numbers = [
            Metric(name, float(value), milliseconds, step)
            for name, value in metrics.items()
            if isinstance(value, int | float) and math.isfinite(value)
        ]
        self.store.client().log_batch(self.run_id, metrics=numbers)

    def points(self, metric: str) -> set[tuple[int, float]]:
        """Step and value of every point that the run has of a metric."""
        return {(each.step, each.value) for each in self.store.client().get_metric_history(self.run_id, metric)}

    def held(self) -> Held:
        """Its state and the files that it has."""
        run = self.store.client().get_run(self.run_id)
        contents = {
            key.removeprefix(CONTENT_TAG): value for key, value in run.data.tags.items() if key.startswith(CONTENT_TAG)
        }
        return Held(str(run.info.status), contents)

    def log_files(self, path: Path, *, name: str, sha256: str) -> None:
        """Keep a copy of a file in the folder `name`, or of a folder as `name`; its hash is noted when it is there.

        A checkpoint under the name `model` is kept so that `mlflow.pyfunc.load_model("runs:/<id>/model")` loads it
        without pickle, and without this project.
        """
        client = self.store.client()
        if name == "model":
            with TemporaryDirectory() as folder:
                save_served_model(path, Path(folder) / name)
                client.log_artifacts(self.run_id, str(Path(folder) / name), artifact_path=name)
        elif path.is_dir():
            client.log_artifacts(self.run_id, str(path), artifact_path=name)
        else:
            client.log_artifact(self.run_id, str(path), artifact_path=name)
        client.set_tag(self.run_id, f"{CONTENT_TAG}{path.name}", sha256)

    def register(self, registration: Registration) -> None:
        """Make its model a version in the registry of models, once."""
        register(self.store.client(), self.run_id, registration)

    def set_status(self, status: str) -> None:
        """Begin the run again as `RUNNING`, or end it as `FINISHED`, `FAILED` or `KILLED`."""
        client = self.store.client()
        if status == "RUNNING":
            client.update_run(self.run_id, status=status)
        else:
            client.set_terminated(self.run_id, status)

    def delete(self) -> None:
        """Remove the run."""
        self.store.client().delete_run(self.run_id)


def _user() -> str:
    """The name of whoever runs this process; empty in a container that does not know its user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def load_mlflow() -> type[MlflowClient]:
    """Import MLflow, which takes seconds, and return its client: only where something is written."""
    from mlflow.tracking import MlflowClient

    return MlflowClient
