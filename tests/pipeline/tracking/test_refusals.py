"""A store that cannot be used is told in one line before work begins, without its password."""

from __future__ import annotations

import time

import pytest

from pipeline.tracking import recorder as recorder_module
from pipeline.tracking.address import VARIABLE
from pipeline.tracking.recorder import recorded
from preprocessing.errors import PlaceError, ResourceError
from tests.mlflow_server import MlflowServer, silent_server, stubborn_server
from tests.pipeline.tracking.small_work import Work

AWAY = "http://127.0.0.1:9"
"""Nobody listens at this port."""


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, "broken"), "it answers with errors of its own, such as 500"),
        ((403, "no"), r"it refuses access \(403\); set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        ((200, "<html>another server"), "not in a valid JSON format"),
        (None, "it does not answer|no answer in"),
    ],
)
def test_a_server_that_cannot_be_used_is_told_before_work_begins(
    answer: tuple[int, str] | None,
    said: str,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(recorder_module, "SECONDS_TO_OPEN", 3.0)
    began = time.monotonic()
    with stubborn_server(*answer) if answer else silent_server() as uri:
        monkeypatch.setenv(VARIABLE, uri.replace("://", "://user:hush-hush@"))
        with (
            pytest.raises(ResourceError, match=f"MLflow's store '{uri}' cannot be used: .*({said})") as caught,
            recorded(work.read, output=str(work.folder)),
        ):
            pytest.fail("work began")
    assert time.monotonic() - began < 10
    assert "--tracking optional" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value) + caplog.text
    assert caught.value.__suppress_context__
    assert caplog.messages == []


def test_nobody_at_the_address_is_told_at_once(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, AWAY)
    with pytest.raises(ResourceError, match="nobody listens there"), recorded(work.read, output=str(work.folder)):
        pytest.fail("work began")


def test_a_host_that_the_server_does_not_allow_is_told_with_the_remedy(
    server: MlflowServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, server.uri.replace("127.0.0.1", "localhost"))
    with (
        pytest.raises(
            ResourceError, match=r"403, Invalid Host header\); start it with `mlflow server --allowed-hosts`"
        ),
        recorded(work.read, output=str(work.folder)),
    ):
        pytest.fail("work began")


def test_a_store_of_an_unknown_kind_is_told_without_its_password(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "nonsense://user:hush-hush@host/")
    with (
        pytest.raises(ResourceError, match=r"MLflow's store 'nonsense://\*\*\*@host/' cannot be used") as caught,
        recorded(work.read, output=str(work.folder)),
    ):
        pytest.fail("work began")
    assert "hush" not in str(caught.value)


def test_a_damaged_database_is_told_before_work_begins(work: Work) -> None:
    (work.folder.parent / "mlflow.db").write_text("no database")
    with pytest.raises(PlaceError, match=r"mlflow\.db' cannot be opened"), recorded(work.read, output=str(work.folder)):
        pytest.fail("work began")
