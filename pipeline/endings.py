"""The ends of a command: its exit status and what is said, by the type of what ended it."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType, TracebackType

from preprocessing.errors import UserError, users_mistake
from preprocessing.reporting.terminal import printable


class ExitStatus(IntEnum):
    """Exit statuses of the command line."""

    DONE = 0
    FAULT = 1
    """Of this project: everything that is no `UserError`; also problems that `verify` or `doctor` found."""
    MISTAKE = 2
    """Of the user: a `UserError`, or words that are no command."""
    INTERRUPTED = 130
    """By Ctrl-C or SIGTERM; 128 + 2, as shells say it."""


EXPLANATION = (
    "Exit status: 0 done; 2 a mistake in settings, places, data or resources, told in a message; 130 interrupted by "
    "Ctrl-C or SIGTERM; 1 anything else, with a traceback, and problems that verify or doctor found."
)

GO_ON = {
    "demo": "run the same command again to go on: what is finished is kept",
    "preprocess": "run the same command again to go on: finished shards are kept",
    "train": "run the same command again to go on after the last stored epoch or step",
    "tune": "run the same command again to go on: finished trials are kept, begun ones resume",
    "evaluate": "run the same command again to go on: every attack that has finished a batch of clips is kept",
    "corruptions": "run the same command again; no report was written",
    "transfer": "run the same command again to go on: every attack that has finished a batch of clips is kept",
    "perceptibility": "run the same command again; no report was written",
}
"""The way to go on after an interruption, by command."""


class InterruptedCommandError(Exception):
    """A Ctrl-C or SIGTERM on its way out of a command, in a type that the command line's library leaves alone."""


def report(error: Exception, *, command: str, show_traceback: bool = False) -> ExitStatus | None:
    """Say how a command ended; returns its exit status, or None if `error` is a fault, to be raised as it is."""
    mistake: UserError | None = users_mistake(error)
    if isinstance(error, InterruptedCommandError):
        said = f"interrupted: {GO_ON.get(command, 'run the same command again')}"
    elif mistake is not None:
        said = f"error: {mistake}"
    else:
        return None
    if show_traceback:
        tell_fault(type(error), error, error.__traceback__)
    sys.stderr.write(f"{printable(said)}\n")
    return ExitStatus.INTERRUPTED if isinstance(error, InterruptedCommandError) else ExitStatus.MISTAKE


def tell_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write a traceback as Python does, and nothing in it that would steer the terminal: names in it may be hostile."""
    sys.stderr.write(printable("".join(traceback.format_exception(kind, error, trace))))


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """SIGTERM is taken like Ctrl-C inside the block: what is begun is closed, and MLflow learns of it."""
    before = signal.getsignal(signal.SIGTERM)
    interrupt_on_sigterm()
    try:
        yield
    finally:
        if _can_set_signals():
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def interrupt_on_sigterm() -> None:
    """Take SIGTERM like Ctrl-C from now on; connecting to Ray replaces it by a plain exit."""
    if _can_set_signals():
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _can_set_signals() -> bool:
    return threading.current_thread() is threading.main_thread()
