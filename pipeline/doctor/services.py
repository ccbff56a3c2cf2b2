"""Checks of what lies elsewhere: the MLflow server, and the rights to places that settings name."""

from __future__ import annotations

import base64
import os
import sqlite3
import urllib.error
import urllib.request
import uuid
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import fsspec

from pipeline.doctor.finding import Finding, ok, problem, warning
from preprocessing.errors import PlaceError, UserError
from preprocessing.schema import INDEX_NAME
from preprocessing.storage.atomic_file import TEMPORARY_PREFIX, write_file
from preprocessing.storage.places import redacted, require_writable
from preprocessing.storage.store import Store

SECONDS = 5.0
"""After which a server is taken for one that does not answer."""
EXPERIMENTS = "/api/2.0/mlflow/experiments/search?max_results=1"


def mlflow(uri: str) -> Finding:
    """The store that `MLFLOW_TRACKING_URI` names; credentials are never part of what is said."""
    name, where = "MLflow", f"'{without_credentials(uri)}'"
    if not uri:
        return ok(name, "MLFLOW_TRACKING_URI is not set: a SQLite file beside the output keeps runs")
    scheme = urlsplit(uri).scheme
    if scheme == "sqlite":
        path = Path(uri.removeprefix("sqlite:///"))
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=SECONDS)) as database:
                database.execute("PRAGMA schema_version")
        except sqlite3.Error as error:
            return problem(name, f"{where} cannot be opened: {error}", "name a file that can, or an MLflow server")
        return ok(name, f"{where} can be opened")
    if scheme not in ("http", "https"):
        return warning(name, f"{where} is of a kind that is not looked at", "name an MLflow server: http://host:5000")
    return _server(name, uri, where)


def _server(name: str, uri: str, where: str) -> Finding:
    request = urllib.request.Request(_bare(uri).rstrip("/") + EXPERIMENTS, headers=_credentials(uri))
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            remedy = (
                "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, on every node"
            )
            return problem(name, f"{where} refuses us ({error.code} {error.reason})", remedy)
        return problem(name, f"{where} answers {error.code} {error.reason}", "see whether an MLflow server runs there")
    except (OSError, ValueError) as error:
        said = redacted(str(getattr(error, "reason", error)))
        return problem(
            name, f"{where} does not answer ({said})", "start the server, or see whether this node reaches it"
        )
    return ok(name, f"{where} answers")


def without_credentials(uri: str) -> str:
    """An address without user, password and query."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _bare(uri: str) -> str:
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _credentials(uri: str) -> dict[str, str]:
    """The header that MLflow's client would send: from the environment, else from the address."""
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    parts = urlsplit(uri)
    user = os.environ.get("MLFLOW_TRACKING_USERNAME") or parts.username or ""
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD") or parts.password or ""
    if not user:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def output_place(place: str) -> Finding:
    """The right to write at `output`: into a folder, or to write, read and delete an object of a bucket."""
    name = "output"
    try:
        if "://" not in place:
            require_writable(place)
            return ok(name, f"'{place}' can be written")
        store, probe = Store(place), f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}.probe"
        write_file(store, probe, probe.encode())
        if store.read(probe) != probe.encode():
            raise PlaceError(f"'{store.url(probe)}' does not hold what was just written")
    except UserError as error:
        return problem(name, str(error).partition(";")[0], "give this node credentials that may write and read there")
    try:
        filesystem, path = fsspec.core.url_to_fs(store.url(probe))
        filesystem.rm_file(path)
    except (OSError, NotImplementedError) as error:
        said = redacted(f"{type(error).__name__}: {error}")
        return warning(name, f"'{store.url(probe)}' cannot be deleted ({said})", "delete it yourself; allow deleting")
    return ok(name, f"'{place}' can be written, read and deleted from")


def data_place(place: str) -> Finding:
    """The right to read the data set at `data`, and whether it is finished."""
    try:
        size = Store(place).size(INDEX_NAME)
    except UserError as error:
        return problem("data", str(error).partition(";")[0], "give this node the credentials and rights to read it")
    if size is None:
        return problem("data", f"'{place}' has no {INDEX_NAME}: it is no finished data set", "preprocess it first")
    return ok("data", f"'{place}' can be read")
