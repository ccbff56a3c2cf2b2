from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from rich.console import Console

from preprocessing.reporting.live import PROGRESS_LINE, LiveHandler
from preprocessing.reporting.progress import announced


@pytest.fixture
def terminal() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def logger(terminal: io.StringIO) -> Iterator[logging.Logger]:
    """A logger that speaks to a terminal of 100 columns."""
    logger = logging.getLogger("live test")
    handler = LiveHandler(Console(file=terminal, force_terminal=True, width=100, _environ={}))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield logger
    logger.removeHandler(handler)
    handler.close()


def test_what_announced_says_is_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preprocessing.reporting.progress.SECONDS_BETWEEN_LINES", 0.0)
    said: list[str] = []
    assert list(announced("abc", total=5, log=said.append, what="epoch 1/2: step"))
    assert said
    for line in said:
        found = PROGRESS_LINE.fullmatch(line)
        assert found
        assert (found["what"], found["total"]) == ("epoch 1/2: step", "5")


@pytest.mark.parametrize(
    "line",
    [
        "epoch 2/6: loss 1.250, validation clean 91.5%, robust 50.0%, 123.5 clips/s, 40 s left",
        "MLflow: http://host/1/2",
        "going on after 2 epochs",
    ],
)
def test_what_is_to_stay_is_no_progress(line: str) -> None:
    assert not PROGRESS_LINE.fullmatch(line)


def test_progress_is_a_bar_that_the_next_line_replaces(logger: logging.Logger, terminal: io.StringIO) -> None:
    logger.info("it begins")
    assert terminal.getvalue() == "it begins\n"
    logger.info("epoch 1/2: step 3/10, 12 s left")
    shown = terminal.getvalue()
    assert "epoch 1/2: step" in shown
    assert "3/10" in shown
    assert "12 s left" in shown
    assert "━" in shown
    before = len(shown)
    logger.info("epoch 1/2: loss [1.25]")
    assert terminal.getvalue()[before:].rstrip().endswith("epoch 1/2: loss [1.25]")
    assert "\x1b[?25h" in terminal.getvalue(), "the cursor is shown again"


def test_long_lines_are_wrapped_by_the_terminal_and_not_cut(logger: logging.Logger, terminal: io.StringIO) -> None:
    logger.info("checkpoint: %s", "/a" * 100)
    assert terminal.getvalue() == f"checkpoint: {'/a' * 100}\n"
