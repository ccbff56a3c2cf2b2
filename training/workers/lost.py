"""Workers that are lost: which one was first, where it ran, and where the others go on."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping

import ray
from ray.train import UserCallback

from preprocessing.cluster.ray_internals import RunContext

logger = logging.getLogger(__name__)

CONSEQUENCES = ("gloo", "nccl", "connection closed", "connection reset")
"""Words in the errors of workers that have lost their connection to another one."""


class LostWorkers(UserCallback):
    """Says which worker was lost and where the others go on, in one line; runs in Ray Train's controller process."""

    def __init__(self, newest: Callable[[], tuple[int, int]], *, max_failures: int) -> None:
        """`newest` tells the epochs and the steps of the next one that are stored."""
        self._newest = newest
        self._left = max_failures

    def after_exception(self, run_context: RunContext, worker_exceptions: dict[int, Exception]) -> None:
        """Log the loss."""
        rank, reason = first_failure(worker_exceptions)
        epochs, step = self._newest()
        place = f"epoch {epochs + 1}, step {step}" if (epochs, step) != (0, 0) else "the beginning"
        self._left -= 1
        goes_on = f"restarting from {place}" if self._left >= 0 else "max_failures is used up"
        logger.warning("worker %d%s lost (%s); %s", rank, place_of(reason), why(reason), goes_on)


def place_of(reason: Exception) -> str:
    """The text ` on node-b (10.0.0.2)`, if Ray's error names the node; else nothing."""
    found = re.search(r"\bip: (\S+)", str(reason))
    if not found:
        return ""
    nodes = ray.nodes() if ray.is_initialized() else []  # type: ignore[no-untyped-call]
    names = [node["NodeManagerHostname"] for node in nodes if node["NodeManagerAddress"] == found[1]]
    return f" on {names[-1]} ({found[1]})" if names else f" on {found[1]}"


def why(reason: Exception) -> str:
    """The reason of a loss in a few words: what Ray says of a dead process or node, else the error's first line."""
    found = re.search(r"because (its [^.]*?has died)", str(reason))
    return found[1] if found else first_line(reason)


def first_line(reason: Exception) -> str:
    """The beginning of an error's text, with its type."""
    lines = str(reason).strip().splitlines()
    return f"{type(reason).__name__}: {lines[0] if lines else ''}"


def last_line(error: Exception) -> str:
    """The end of an error's text, where Ray puts the reason."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


def first_failure(failures: Mapping[int, Exception]) -> tuple[int, Exception]:
    """The worker that failed first and its reason; the others fail because they lose their connection to it."""
    return min(
        failures.items(),
        key=lambda failure: (any(word in str(failure[1]).lower() for word in CONSEQUENCES), failure[0]),
    )
