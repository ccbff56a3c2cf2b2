from __future__ import annotations

import logging
import time

import pytest

from preprocessing.reporting.heartbeat import heartbeat


def until(condition: object, *, seconds: float | int = 10) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def test_silence_is_broken_again_and_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="preprocessing")
    with heartbeat(lambda: "waiting for a node", seconds=0.02):
        until(lambda: caplog.messages.count("waiting for a node") >= 3)
    count = len(caplog.messages)
    time.sleep(0.1)
    assert len(caplog.messages) == count, "it goes on after its end"


def test_whoever_speaks_is_not_interrupted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="training")
    with heartbeat(lambda: "silence", seconds=0.5):
        for _ in range(100):
            logging.getLogger("training.loop").info("epoch")
            time.sleep(0.01)
    assert "silence" not in caplog.messages


def test_an_error_in_the_description_is_a_line_and_no_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="preprocessing")

    def describe() -> str:
        raise ConnectionError("gone")

    with heartbeat(describe, seconds=0.02):
        until(lambda: len(caplog.messages) >= 2)
    assert set(caplog.messages) == {"still at work; the cluster does not answer (ConnectionError)"}
