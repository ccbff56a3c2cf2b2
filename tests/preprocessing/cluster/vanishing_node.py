"""A Ray of two nodes, one of which vanishes without closing a connection: what becomes of the tasks on it.

Run as a program of its own, since it starts a Ray of its own; prints the names and nodes of the items, and the seconds.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from preprocessing.cluster.streams import Streams

HEALTH = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 500,
    "health_check_failure_threshold": 3,
}


SECONDS_OF_WORK = 6.0


def work(number: int) -> Iterator[tuple[int, str]]:
    """Two items: the first at once, the second later."""
    node = ray.get_runtime_context().get_node_id()
    yield number, node
    time.sleep(SECONDS_OF_WORK)
    yield -number, node


def main() -> None:
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": HEALTH}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    doomed = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    streams: Streams[tuple[int, str]] = Streams(work, options={"num_cpus": 1}, max_losses=2)
    for number in (1, 2):
        streams.start(f"task {number}", partial(tuple, (number,)))
    items: list[tuple[str, tuple[int, str]]] = []
    while len(items) < 2:
        items += streams.items(seconds=0.1)
    frozen = freeze(doomed.all_processes["raylet"][0].process.pid)
    vanished = time.monotonic()
    while streams:
        items += streams.items(seconds=0.5)
    print(json.dumps({"items": items, "doomed": doomed.node_id, "seconds": time.monotonic() - vanished}), flush=True)
    for process in frozen:
        os.kill(process, signal.SIGKILL)
    os._exit(0)  # Ray would wait for them


def freeze(raylet: int) -> list[int]:
    """Stop every process of a node: it answers nothing more, and no connection to it is closed."""
    processes = [raylet]
    for process in processes:  # which grows
        processes += map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    return processes


if __name__ == "__main__":
    main()
