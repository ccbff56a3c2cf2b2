"""The commands: settings in, one stage run, exit status out (see `pipeline.endings`)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from pipeline.commands import checks, measurements, stages, use
from pipeline.commands.app import TRACEBACK, app
from pipeline.endings import ExitStatus, report, sigterm_interrupts, tell_fault
from pipeline.environment import set_up_environment
from preprocessing.reporting.terminal import LineFormatter

__all__ = ["app", "checks", "console_script", "main", "measurements", "stages", "use"]


def set_up_logging() -> None:
    """One line a message, with the time; other libraries speak only when something is wrong.

    At a terminal progress is a live bar. No name in a message or a traceback steers it.
    """
    sys.excepthook = tell_fault
    handler: logging.Handler = logging.StreamHandler()
    if sys.stderr.isatty():
        from rich.console import Console

        from preprocessing.reporting.live import LiveHandler

        handler = LiveHandler(Console(stderr=True))
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for package in ("pipeline", "preprocessing", "training", "evaluation"):
        logging.getLogger(package).setLevel(logging.INFO)


def main(arguments: Sequence[str] | None = None, *, program: str = "python -m pipeline") -> int:
    """Run one command and say how it ended, see `pipeline.endings`; a fault of ours is raised, which ends in 1."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    show_traceback = TRACEBACK in words
    words = [word for word in words if word != TRACEBACK]
    set_up_environment()
    set_up_logging()
    try:
        with sigterm_interrupts():
            app(args=words, prog_name=program)
    except SystemExit as end:
        return int(end.code or 0)
    except Exception as error:
        status = report(error, command=words[0] if words else "", show_traceback=show_traceback)
        if status is None:
            raise
        return status
    return ExitStatus.DONE


def console_script() -> int:
    """The installed command `robust-av`, the same as `python -m pipeline` but for where the code comes from.

    `python -m pipeline` takes the packages of the current folder, as a clone wants it. The script takes the installed
    ones, whatever folders named `training` or `evaluation` lie where it is started.
    """
    return main(program="robust-av")
