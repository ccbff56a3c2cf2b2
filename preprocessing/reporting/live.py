"""A live bar for people at a terminal; jobs and pipes get the same lines plainly, one after the other."""

from __future__ import annotations

import logging
import re
from contextlib import suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from preprocessing.reporting.terminal import printable

PROGRESS_LINE = re.compile(r"(?P<what>.*\S) (?P<done>\d+)/(?P<total>\d+), (?P<left>[^,:]*) left")
"""A line of `reporting.progress.announced`, whichever process has said it."""


class LiveHandler(logging.Handler):
    """Shows lines about progress as one bar, which the next other line replaces; all others stay above it."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._bar: Progress | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Show a line."""
        try:
            found = PROGRESS_LINE.fullmatch(record.getMessage())
            if found:
                self._show(printable(found["what"]), int(found["done"]), int(found["total"]), f"{found['left']} left")
                return
            self._remove()
            self._console.print(self.format(record), markup=False, highlight=False, soft_wrap=True)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Remove the bar, so that the terminal is as it was."""
        with suppress(Exception):  # at the end of the process, of which the terminal may be gone
            self._remove()
        super().close()

    def _show(self, what: str, done: int, total: int, left: str) -> None:
        if self._bar is None:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]}", markup=False),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.add_task(what, total=total, completed=done, left=left)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], description=what, total=total, completed=done, left=left)

    def _remove(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
