"""Real worker processes that exchange by gloo, started once for many tests."""

from __future__ import annotations

import multiprocessing
import pickle
import traceback
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import distributed

TIMEOUT = timedelta(seconds=60)


class GlooWorkers:
    """Processes that run a function as the workers of one training, any number of them up to `most`."""

    def __init__(self, most: int, folder: Path) -> None:
        """They meet at files in `folder`."""
        self._meetings = (folder / f"meeting_{number}" for number in count())
        context = multiprocessing.get_context("forkserver")  # which imports once, and has no threads yet
        context.set_forkserver_preload(["tests.training.objectives.table", "training.epoch", "torchvision"])
        self._connections: list[Connection] = []
        self._processes = []
        for _ in range(most):
            mine, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._connections.append(mine)
            self._processes.append(process)

    def run(self, num_workers: int, function: Callable[..., Any], *args: object) -> list[Any]:
        """What `function(rank, num_workers, *args)` returns in each worker; a single one has no process group."""
        meeting = next(self._meetings)
        used = self._connections[:num_workers]
        for rank, connection in enumerate(used):
            connection.send_bytes(pickle.dumps((rank, num_workers, meeting, function, args)))
        answers = [pickle.loads(connection.recv_bytes()) for connection in used]
        if failures := [answer for answer in answers if isinstance(answer, WorkerFailure)]:
            raise AssertionError("\n".join(failure.text for failure in failures))
        return answers

    def __enter__(self) -> GlooWorkers:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.join()


class WorkerFailure:
    """An exception in a worker."""

    def __init__(self, text: str) -> None:
        self.text = text


def serve(connection: Connection) -> None:
    """Run what is asked for until nobody asks any more."""
    torch.set_num_threads(1)
    while True:
        try:
            rank, num_workers, meeting, function, args = pickle.loads(connection.recv_bytes())
        except EOFError:
            return
        try:
            answer = as_worker(rank, num_workers, meeting, function, args)
        except Exception:
            answer = WorkerFailure(f"worker {rank} of {num_workers}:\n{traceback.format_exc()}")
        connection.send_bytes(pickle.dumps(answer))


def as_worker(rank: int, num_workers: int, meeting: Path, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    if num_workers == 1:
        return function(rank, num_workers, *args)
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=num_workers, timeout=TIMEOUT
    )
    try:
        return function(rank, num_workers, *args)
    finally:
        distributed.destroy_process_group()
