"""The wait for nodes that are on their way, or busy: demand that the autoscaler sees, and a line that says what for."""

from __future__ import annotations

import _thread
import logging
import time
from collections.abc import Sequence

import ray
from ray.util.placement_group import placement_group, placement_group_table, remove_placement_group

from preprocessing.cluster.capacity import Capacity, Resources, gcs_address, resources_of_nodes
from preprocessing.cluster.ray_internals import autoscaled_nodes
from preprocessing.errors import ResourceError
from preprocessing.reporting.progress import SECONDS_BETWEEN_LINES, duration

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 1.0


def wait_for(bundles: Sequence[Resources], *, what: str, minutes: float | int | None) -> None:
    """Wait until `bundles` are free together, each on one node; a line every few seconds says what is waited for.

    They are not held: whoever comes first takes them. The demand is a placement group, which the autoscaler sees.

    Args:
        bundles: what the processes take that are to start together.
        what: the same in words, `2 workers with 1 GPU each`.
        minutes: the longest wait; None = without end.

    Raises:
        ResourceError: after `minutes`, with what the cluster had by then.
    """
    started = last_line = time.monotonic()
    group = placement_group([dict(bundle) for bundle in bundles])
    try:
        while not group.wait(timeout_seconds=SECONDS_BETWEEN_LOOKS):
            now = time.monotonic()
            waited = now - started
            if minutes is not None and waited > 60 * minutes:
                raise given_up(bundles, what=what, seconds=waited)
            if now - last_line >= SECONDS_BETWEEN_LINES:
                last_line = now
                logger.info("%s", waiting_line(bundles, what=what, seconds=waited))
    finally:
        remove_placement_group(group)


class Patience:
    """The wait for a node that can do the work at all, counted from when there was one last."""

    def __init__(self, minutes: float | int | None) -> None:
        self._minutes = minutes
        self._since = time.monotonic()

    def look(self, bundles: Sequence[Resources], *, what: str) -> None:
        """Look at the nodes alive.

        Raises:
            ResourceError: if for so many minutes there was none.
        """
        now = time.monotonic()
        if Capacity(resources_of_nodes()).could_hold(bundles):
            self._since = now
        elif self._minutes is not None and now - self._since > 60 * self._minutes:
            raise given_up(bundles, what=what, seconds=now - self._since)


class WorkersWatch:
    """Says what the workers of a run wait for, and ends the wait for lost nodes that takes too long.

    Ray Train asks for the workers' places again and again, for ever and without a word.
    """

    def __init__(self, bundles: Sequence[Resources], *, what: str, minutes: float | int | None) -> None:
        """`minutes`: the longest wait, which ends as a Ctrl-C of the main thread; None = without end."""
        self.gave_up: ResourceError | None = None
        """The reason why the main thread was interrupted, if it was."""
        self._bundles = bundles
        self._what = what
        self._minutes = minutes
        self._waiting_since: float | None = None

    def line(self) -> str:
        """The line to log when nobody has said anything for a while."""
        if not is_demanded(self._bundles):
            self._waiting_since = None
            return f"{self._what}: starting, or at a long step; {cluster_in_words(self._bundles)}"
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        waited = now - self._waiting_since
        if self._minutes is not None and waited > 60 * self._minutes and not self.gave_up:
            self.gave_up = given_up(self._bundles, what=self._what, seconds=waited)
            _thread.interrupt_main()
        return waiting_line(self._bundles, what=self._what, seconds=waited)


def given_up(bundles: Sequence[Resources], *, what: str, seconds: float) -> ResourceError:
    """The error of a wait that took too long."""
    return ResourceError(
        f"{what}: not there after {duration(seconds)} ({cluster_in_words(bundles)}); free or add nodes, or raise "
        "max_wait_minutes"
    )


def waiting_line(bundles: Sequence[Resources], *, what: str, seconds: float) -> str:
    """The line `waiting for WHAT: the cluster has 0 GPU, 2 nodes starting (34 s)`."""
    return f"waiting for {what}: {cluster_in_words(bundles)} ({duration(seconds)})"


def is_demanded(bundles: Sequence[Resources]) -> bool:
    """True if a placement group of these bundles waits for its nodes."""
    wanted = sorted(sorted(bundle.items()) for bundle in bundles)
    return any(
        group["state"] != "CREATED"
        and group["state"] != "REMOVED"
        and sorted(sorted(bundle.items()) for bundle in group["bundles"].values()) == wanted
        for group in placement_group_table().values()
    )


def cluster_in_words(bundles: Sequence[Resources]) -> str:
    """The amounts of what the bundles ask for, and the nodes on their way: `the cluster has 4 CPU (1 free), 0 GPU`."""
    has = ray.cluster_resources()  # type: ignore[no-untyped-call]
    free = ray.available_resources()  # type: ignore[no-untyped-call]
    amounts = []
    for name in sorted({name for bundle in bundles for name in bundle}):
        total = has.get(name, 0)
        amounts.append(f"{total:g} {name}" + (f" ({free.get(name, 0):g} free)" if total else ""))
    _, coming, failures = autoscaled_nodes(gcs_address())
    if count := coming.total():
        amounts.append(f"{count} node{'s' * (count != 1)} starting")
    if failures:
        amounts.append(f"Ray could not start {failures[-1]}")
    return f"the cluster has {', '.join(amounts)}"
