from __future__ import annotations

import os

import pytest

from pipeline.environment import ENVIRONMENT, LOCAL_ENVIRONMENT, set_up_environment


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without any of the variables; as before afterwards."""
    for name in ENVIRONMENT | LOCAL_ENVIRONMENT:
        monkeypatch.setenv(name, "")  # remembered, so that it is put back
        monkeypatch.delenv(name)


def test_everything_that_is_not_set_is_set() -> None:
    set_up_environment()
    assert {name: os.environ[name] for name in ENVIRONMENT} == ENVIRONMENT
    assert not LOCAL_ENVIRONMENT.keys() & os.environ.keys()


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    set_up_environment(local=True)
    assert (os.environ["OMP_NUM_THREADS"], os.environ["RAY_AUTH_MODE"]) == ("4", "token")
    assert os.environ["RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"] == "0"
