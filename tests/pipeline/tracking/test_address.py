from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from pipeline.tracking.address import PASSWORD, USERNAME, VARIABLE, StoreAddress, store_address
from preprocessing.errors import PlaceError, SettingsError


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the variables is set; as before afterwards."""
    for name in (VARIABLE, USERNAME, PASSWORD):
        monkeypatch.setenv(name, "")  # remembered, so that it is put back
        monkeypatch.delenv(name)


def test_the_default_is_a_sqlite_file_beside_the_output(tmp_path: Path) -> None:
    address = store_address(str(tmp_path / "run"))
    assert address.database == tmp_path / "mlflow.db"
    assert address.files == (tmp_path / "mlflow-files").as_uri()
    assert not address.is_a_server
    assert list(tmp_path.iterdir()) == []


def test_an_output_elsewhere_needs_a_server() -> None:
    with pytest.raises(SettingsError, match="set MLFLOW_TRACKING_URI to an MLflow server"):
        store_address("s3://bucket/output")


@pytest.mark.parametrize("output", ["/proc/run", "/dev/null/run", "/dev/null/deeper/run"])
def test_a_place_that_cannot_be_written_is_told(output: str) -> None:
    with pytest.raises(PlaceError, match=r"mlflow\.db"):
        store_address(output)


def test_credentials_leave_the_address_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "https://user:hush%2Fhush@mlflow.example:5000/at")
    address = store_address("s3://bucket/output")
    assert address == StoreAddress("https://mlflow.example:5000/at")
    assert (os.environ[VARIABLE], os.environ[USERNAME], os.environ[PASSWORD]) == (address.uri, "user", "hush/hush")


@pytest.mark.parametrize(
    "uri",
    [
        "http://host/?token=hush-hush",
        "http://user:hush-hush@host?x=hush",
        "http://user:hush/hush@host",
        "http://h?t=a@b",
    ],
)
def test_an_address_that_may_hide_a_secret_is_refused_and_not_repeated(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, uri)
    with pytest.raises(SettingsError, match=r"a query, or with / \? # in its password") as caught:
        store_address("run")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://user:hush-hush@host:1/db?sslmode=require", "postgresql://***@host:1/db?***"),
        ("postgresql://user:hu/sh@host/db", "postgresql://***@host/db"),
        ("sqlite:////tmp/a@b/mlflow.db", "sqlite:////tmp/a@b/mlflow.db"),
    ],
)
def test_the_address_of_a_database_is_printed_without_credentials(uri: str, shown: str) -> None:
    address = StoreAddress(uri)
    assert str(address) == shown
    assert address.clean(f"cannot open {uri}") == f"cannot open {shown}"


def test_the_installed_mlflow_has_the_pages_that_are_told() -> None:
    """That of a run, and that of all runs with the choice of its workflow, which the documentation names."""
    spec = importlib.util.find_spec("mlflow")
    assert spec
    assert spec.origin
    scripts = Path(spec.origin).parent / "server" / "js" / "build" / "static" / "js"
    text = "".join(each.read_text(encoding="utf-8") for each in scripts.glob("*.js"))
    for part in (':experimentId/runs"', ':experimentId/runs/:runUuid"', '.get("workflowType")', '"machine_learning"'):
        assert part in text, part


def test_a_runs_page_is_told_for_each_kind_of_store() -> None:
    path = "/#/experiments/3/runs/abc?workflowType=machine_learning"
    assert StoreAddress("http://host:5000/").page("3", "abc") == f"http://host:5000{path}"
    serve = f"`mlflow ui --backend-store-uri {{}}`, then http://127.0.0.1:5000{path}"
    assert StoreAddress("sqlite:////a b/mlflow.db").page("3", "abc") == serve.format("'sqlite:////a b/mlflow.db'")
    assert StoreAddress("postgresql://u:p@h/db").page("3", "abc") == serve.format('"$MLFLOW_TRACKING_URI"')
