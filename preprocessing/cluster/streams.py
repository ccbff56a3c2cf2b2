"""Streaming Ray tasks, each started again when its worker or its node is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast, no_type_check

import ray
from ray import ObjectRefGenerator
from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)

from preprocessing.cluster.nodes import alive_nodes
from preprocessing.errors import ResourceError

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Arguments = Callable[[], Sequence[object]]

LOST = (WorkerCrashedError, NodeDiedError, OutOfMemoryError, ObjectLostError, LocalRayletDiedError)
SECONDS_TO_START = 30.0
"""A task that has not said where it runs so long after a node was lost may have been on its way there."""
SECONDS_TO_STOP = 20.0
SECONDS_BETWEEN_LOOKS = 1.0
"""Between two questions to the cluster for the nodes that are alive, however fast items come."""


class LostTaskError(ResourceError):
    """A task was lost again and again."""


@dataclass
class _Stream:
    """A task that runs, or waits for a place."""

    name: str
    arguments: Arguments
    started: float
    losses: int = 0
    node: str | None = None
    """The node it runs on, as soon as it has said so."""


class Streams(Generic[Item]):
    """Tasks that each yield items, under names; a lost one is started again from its beginning.

    Ray itself fails a call to a node that has vanished only when the connection's keepalive gives up, up to seven
    minutes later (ray-project/ray#44612), and runs nothing in its place before. So every task says first where it runs,
    and those on a node that is dead by the cluster's own word, which comes after seconds, are started elsewhere.

        streams = Streams(build, options={"num_cpus": 1}, max_losses=5)
        streams.start("shard 7", lambda: (job,))
        while streams:
            for name, item in streams.items(seconds=5):
                ...
    """

    def __init__(
        self,
        work: Callable[..., Iterable[Item]],
        *,
        options: Mapping[str, Any],
        max_losses: int,
        retried: tuple[type[Exception], ...] = (),
    ) -> None:
        """Start nothing yet.

        Args:
            work: what a task does: returns items, one after the other. Doing it twice must do no harm.
            options: what a task takes, as Ray names it.
            max_losses: losses of one task after which it is given up.
            retried: errors of `work` that count as a loss.
        """
        self._work = work
        task: Any = ray.remote(_on_its_node)
        common = {"num_returns": "streaming", "max_retries": 0, "name": work.__name__, **options}
        self._task = task.options(**common)
        self._task_again = task.options(scheduling_strategy="SPREAD", **common)
        """Apart from the others for Ray, where a task would wait with them for an answer from the dead node."""
        self._max_losses = max_losses
        self._retried = retried
        self._running: dict[ObjectRefGenerator, _Stream] = {}
        self._alive = {node.id for node in alive_nodes()}
        self._last_death = 0.0
        self._last_look = 0.0

    def __len__(self) -> int:
        return len(self._running)

    def start(self, name: str, arguments: Arguments) -> None:
        """Start a task; `arguments` are asked for again when it is started again."""
        self._submit(_Stream(name, arguments, started=time.monotonic()))

    def items(self, *, seconds: float) -> list[tuple[str, Item]]:
        """The items that are there, with the names of their tasks; after `seconds` without any, an empty list.

        Raises:
            LostTaskError: if a task was lost too often.
            RayTaskError: with what `work` raised.
        """
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=seconds)
        found = []
        for generator in cast(list[ObjectRefGenerator], ready):
            stream = self._running[generator]
            try:
                item = ray.get(next(generator))
            except StopIteration:
                del self._running[generator]
            except LOST as error:
                self._again(generator, str(error).strip().splitlines()[0])
            except RayTaskError as error:
                if not isinstance(error.cause, self._retried):
                    del self._running[generator]
                    raise
                self._again(generator, str(error.cause))
            else:
                if stream.node is None:
                    stream.node = str(item)
                else:
                    found.append((stream.name, cast(Item, item)))
        self._look_for_lost_nodes()
        return found

    def forget(self, name: str) -> None:
        """Take a task for finished: nothing more is wanted of it."""
        self._running = {each: stream for each, stream in self._running.items() if stream.name != name}

    def stop(self) -> None:
        """Cancel all tasks and give them time to clean up."""
        for generator in self._running:
            _cancel(generator)
        deadline = time.monotonic() + SECONDS_TO_STOP
        while self._running and time.monotonic() < deadline:
            with suppress(RayError, RayTaskError):
                self.items(seconds=1.0)

    def _submit(self, stream: _Stream) -> None:
        task = self._task_again if stream.losses % 2 else self._task
        self._running[cast(ObjectRefGenerator, task.remote(self._work, *stream.arguments()))] = stream

    def _again(self, generator: ObjectRefGenerator, reason: str) -> None:
        """Start a lost task again.

        Raises:
            LostTaskError: if it was lost too often.
        """
        stream = self._running.pop(generator)
        losses = stream.losses + 1
        if losses > self._max_losses:
            raise LostTaskError(f"'{stream.name}' was given up: it was lost {losses} times ({reason})")
        logger.warning("%s was lost (%s); started again", stream.name, reason)
        self._submit(_Stream(stream.name, stream.arguments, started=time.monotonic(), losses=losses))

    def _look_for_lost_nodes(self) -> None:
        """Start tasks again that run on nodes which are dead, or may have been on their way there."""
        now = time.monotonic()
        if now - self._last_look < SECONDS_BETWEEN_LOOKS:
            return
        self._last_look = now
        alive = {node.id for node in alive_nodes()}
        if self._alive - alive:
            self._last_death = now
        self._alive = alive
        for generator, stream in list(self._running.items()):
            is_on_its_way = stream.node is None and stream.started < self._last_death < now - SECONDS_TO_START
            if is_on_its_way or (stream.node is not None and stream.node not in alive):
                _cancel(generator)
                self._again(generator, "its node has died" if stream.node else "a node has died before it began")


def _cancel(generator: ObjectRefGenerator) -> None:
    with suppress(RayError, ValueError):  # it may have ended, or its node with it
        ray.cancel(generator)


@no_type_check  # Ray knows a streaming task by its `yield`, which a run-time type checker's wrapper would hide
def _on_its_node(work, *arguments):
    """Say where the work is done, then do it; a process that is cancelled ends."""
    yield ray.get_runtime_context().get_node_id()
    try:
        for item in work(*arguments):  # noqa: UP028  # Ray's loop sends to what is yielded from, which not all can take
            yield item
    except KeyboardInterrupt:  # maybe in the middle of an import, which leaves half a module behind
        raise SystemExit(1) from None
