"""The opening of MLflow's tracking store, made and migrated if need be, and the reasons why one cannot be used."""

from __future__ import annotations

import sqlite3
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking.address import StoreAddress
from pipeline.tracking.mlflow_runs import TrackingStore, load_mlflow
from preprocessing.errors import PlaceError
from preprocessing.storage.atomic_file import holding

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "robust-audio-visual"


def open_store(address: StoreAddress) -> TrackingStore:
    """The experiment of this project in a store, made and migrated here if need be.

    Processes that open a fresh SQLite file together would break each other's migration, so they take turns.

    Raises:
        PlaceError: if a SQLite file is damaged, or the experiment is deleted.
        Exception: MLflow's own, if the store cannot be opened; `reason` tells it.
    """
    database = address.database
    if database:
        database.parent.mkdir(parents=True, exist_ok=True)
    with holding(database.parent) if database else nullcontext():
        if database:
            require_database(database)
        client = load_mlflow()(tracking_uri=address.uri)
        known = client.get_experiment_by_name(EXPERIMENT)
        if known is None:
            return TrackingStore(address.uri, _create_experiment(client, address.files))
    if known.lifecycle_stage != "active":
        raise PlaceError(
            f"the experiment '{EXPERIMENT}' in MLflow's store '{address}' is deleted; bring it back with "
            f"`mlflow experiments restore --experiment-id {known.experiment_id}`, or set MLFLOW_TRACKING_URI to "
            "another one"
        )
    return TrackingStore(address.uri, known.experiment_id)


def require_database(path: Path) -> None:
    """Refuse a SQLite file that is damaged, none, or cannot be written; one that does not exist yet passes.

    Raises:
        PlaceError: before MLflow opens it.
    """
    if not path.is_symlink() and not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=10)) as database:
            database.execute("PRAGMA schema_version")
            database.execute("BEGIN IMMEDIATE")
            database.rollback()
    except sqlite3.Error as error:
        raise PlaceError(
            f"'{path}' cannot be opened as the database of MLflow's runs ({error}); move it away, or set "
            "MLFLOW_TRACKING_URI to another store"
        ) from error


def reason(error: BaseException) -> str:
    """The reason why a store could not be written, and the remedy if there is one, in one line."""
    said = str(error)
    status = error.get_http_status_code() if hasattr(error, "get_http_status_code") else 0
    names = {type(each).__name__ for each in _chain(error)}
    if "Invalid Host header" in said:
        return (
            "it refuses the host's name in its address (403, Invalid Host header); start it with "
            "`mlflow server --allowed-hosts` and that name, with its port"
        )
    if status in (401, 403):
        return (
            f"it refuses access ({status}); set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "MLFLOW_TRACKING_TOKEN, to credentials that may write"
        )
    if "ConnectionRefusedError" in names:
        return "nobody listens there"
    if "gaierror" in names:
        return "its host's name is not known"
    if names & {"ReadTimeout", "ConnectTimeout", "TimeoutError"}:
        return "it does not answer"
    if "ResponseError" in names or "RetryError" in names:
        return "it answers with errors of its own, such as 500; its log says why"
    lines = said.strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _chain(error: BaseException | None) -> list[BaseException]:
    """An error and those that led to it, the last one first."""
    found = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _create_experiment(client: MlflowClient, files: str | None) -> str:
    """The id of the new experiment, or of the one that another process has made meanwhile."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.create_experiment(EXPERIMENT, files))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or not (made := client.get_experiment_by_name(EXPERIMENT)):
            raise
        return str(made.experiment_id)
