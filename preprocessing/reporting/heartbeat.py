"""Long work is never silent: whoever has nothing to report says what it waits for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

OWN_LOGGERS = ("pipeline", "preprocessing", "training", "evaluation")
SECONDS_OF_SILENCE = 12.0


class _LastLine(logging.Handler):
    """Remembers the time of the last line."""

    def __init__(self) -> None:
        super().__init__(level=logging.INFO)
        self.time = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        self.time = time.monotonic()


@contextmanager
def heartbeat(describe: Callable[[], str], *, seconds: float | int = SECONDS_OF_SILENCE) -> Iterator[None]:
    """Inside the block, log what `describe` says whenever the project's loggers have said nothing for so many seconds.

    `describe` is called in a thread of its own. An error in it is a line like any other: it must not end the work.
    """
    last, ended = _LastLine(), threading.Event()
    loggers = [logging.getLogger(name) for name in OWN_LOGGERS]

    def watch() -> None:
        while not ended.wait(max(0.01, last.time + seconds - time.monotonic())):
            if time.monotonic() - last.time >= seconds:
                try:
                    said = describe()
                except Exception as error:
                    said = f"still at work; the cluster does not answer ({type(error).__name__})"
                if not ended.is_set():
                    logger.info("%s", said)
                last.time = time.monotonic()

    for each in loggers:
        each.addHandler(last)
    thread = threading.Thread(target=watch, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        for each in loggers:
            each.removeHandler(last)
        thread.join(timeout=1)
