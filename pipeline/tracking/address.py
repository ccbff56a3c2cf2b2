"""The address of MLflow's tracking store, as the environment names it, without credentials in it."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from preprocessing.errors import SettingsError
from preprocessing.storage.places import redacted, require_writable

VARIABLE = "MLFLOW_TRACKING_URI"
USERNAME = "MLFLOW_TRACKING_USERNAME"
PASSWORD = "MLFLOW_TRACKING_PASSWORD"
CREDENTIALS = (USERNAME, PASSWORD, "MLFLOW_TRACKING_TOKEN")
SQLITE = "sqlite:///"
WORKFLOW = "workflowType=machine_learning"
"""Without it MLflow's pages may show traces, of which there are none."""


@dataclass(frozen=True)
class StoreAddress:
    """The place of a tracking store: a server, or a database that MLflow opens by itself."""

    uri: str
    """As MLflow takes it. That of a server holds no credentials; that of a database may, and is printed `redacted`."""
    files: str | None = None
    """The folder for files of new runs; None = the store decides."""

    @property
    def is_a_server(self) -> bool:
        """True if it is reached by HTTP, so that it has pages to look at."""
        return self.uri.startswith(("http://", "https://"))

    @property
    def database(self) -> Path | None:
        """The SQLite file; None for any other store."""
        return Path(self.uri.removeprefix(SQLITE)) if self.uri.startswith(SQLITE) else None

    def page(self, experiment_id: str, run_id: str) -> str:
        """The way to look at a run: the address of its page, or for a database the command that serves it."""
        path = f"/#/experiments/{experiment_id}/runs/{run_id}?{WORKFLOW}"
        if self.is_a_server:
            return f"{self.uri.rstrip('/')}{path}"
        uri = shlex.quote(self.uri) if self.database else f'"${VARIABLE}"'
        return f"`mlflow ui --backend-store-uri {uri}`, then http://127.0.0.1:5000{path}"

    def clean(self, text: str) -> str:
        """The text without any credentials."""
        return redacted(text.replace(self.uri, str(self)))

    def __str__(self) -> str:
        """The address as it may be printed."""
        scheme, mark, rest = self.uri.partition("://")
        has_credentials = "@" in rest and self.database is None
        return redacted(f"{scheme}{mark}***@{rest.rpartition('@')[2]}" if has_credentials else self.uri)


def store_address(output: str) -> StoreAddress:
    """The store that `MLFLOW_TRACKING_URI` names, else a SQLite file beside `output`.

    Credentials in the address of a server are moved to the variables from which MLflow takes them, in this process.

    Raises:
        SettingsError: if `output` is no local folder and no store is named, or the address has a query.
        PlaceError: if the folder beside `output` cannot be written.
    """
    if os.environ.get(VARIABLE):
        separate_credentials()
        return StoreAddress(os.environ[VARIABLE])
    if "://" in output:
        raise SettingsError(
            f"output='{output}' is not on this machine: set {VARIABLE} to an MLflow server "
            "(its SQLite default needs a local folder)"
        )
    folder = Path(output).absolute().parent
    require_writable(folder, setting="the folder of output, which receives mlflow.db,")
    return StoreAddress(f"{SQLITE}{folder / 'mlflow.db'}", (folder / "mlflow-files").as_uri())


def separate_credentials() -> None:
    """Move user and password out of a server's address into variables of their own.

    Raises:
        SettingsError: if the address has a query, which MLflow could not use and which may be a secret, or cannot be
            taken apart.
    """
    scheme, mark, rest = os.environ[VARIABLE].partition("://")
    if scheme not in ("http", "https"):
        return
    credentials, has_credentials, host = rest.rpartition("@")
    if "?" in host or any(mark in credentials for mark in "/?#"):
        raise SettingsError(
            f"{VARIABLE} is an {scheme}:// address with a query, or with / ? # in its password; allowed: "
            "http://HOST:PORT and https://HOST, with USER:PASSWORD@ before it whose / ? # are written %2F %3F %23. "
            "A token belongs into MLFLOW_TRACKING_TOKEN"
        )
    if has_credentials:
        username, _, password = credentials.partition(":")
        os.environ.update({VARIABLE: f"{scheme}{mark}{host}", USERNAME: unquote(username), PASSWORD: unquote(password)})
