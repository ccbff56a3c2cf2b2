"""Work that is done in several processes of one thread each, as every study does it."""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import torch

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(what: str, work: Callable[[Item], Result], items: Iterable[Item], *, processes: int) -> list[Result]:
    """The results of `work`, in order; says after each how far it is and how long the rest will take."""
    todo = list(items)
    results: list[Result] = []
    started = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for result in pool.map(work, todo):
            results.append(result)
            left = (time.monotonic() - started) / len(results) * (len(todo) - len(results))
            logger.info("%s: %d of %d, %.0f s left", what, len(results), len(todo), left)
    return results
