"""The machines of the connected Ray, and one question put to all of them at once."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

Answer = TypeVar("Answer")

SECONDS_TO_ANSWER = 120.0
"""After which a node is taken for one that does not answer: starting a process on a busy one takes seconds."""


@dataclass(frozen=True)
class Node:
    """A machine of the connected Ray."""

    id: str
    host: str
    address: str
    resources: Mapping[str, float | int] = field(default_factory=dict, compare=False, repr=False)
    """Amounts by name, taken or free."""

    def __str__(self) -> str:
        return label(self.host, self.address)


@dataclass(frozen=True)
class Answers(Generic[Answer]):
    """The answers of all nodes to one question."""

    given: dict[Node, Answer]
    missing: dict[Node, str]
    """The reason why a node that is alive gave none, in words that go on after its name."""


def label(host: str, address: str) -> str:
    """A node as users know it: `node-b (10.0.0.2)`."""
    return host if host == address else f"{host} ({address})"


def this_node() -> str:
    """The node of this process, as users know it."""
    return label(socket.gethostname(), ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]


def alive_nodes() -> list[Node]:
    """The machines that are alive now, in the order of their addresses."""
    found = [
        Node(node["NodeID"], node["NodeManagerHostname"], node["NodeManagerAddress"], node["Resources"])
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]
    return sorted(found, key=lambda node: (node.address, node.id))


def ask_every_node(
    question: Callable[..., Answer], *arguments: object, seconds: float = SECONDS_TO_ANSWER
) -> Answers[Answer]:
    """Call `question(*arguments)` in one task on every node that is alive, on all at once; it takes no CPU.

    A node that is lost meanwhile is left out. One that does not answer within `seconds` is given up, as where a mount
    hangs.

    Raises:
        Exception: what the question raises on a node, as Ray brings it.
    """
    task = ray.remote(question)
    asked = {
        task.options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
        ).remote(*arguments): node
        for node in alive_nodes()
    }
    done, late = ray.wait(list(asked), num_returns=len(asked), timeout=seconds)
    given: dict[Node, Answer] = {}
    missing: dict[Node, str] = {}
    for reference in done:
        try:
            given[asked[reference]] = ray.get(reference)
        except RayTaskError:
            raise
        except RayError as error:
            missing[asked[reference]] = f"could not be asked ({str(error).strip().splitlines()[0]})"
    for reference in late:
        ray.cancel(reference, force=True)
        missing[asked[reference]] = f"did not answer within {seconds:g} s"
    alive = {node.id for node in alive_nodes()}
    return Answers(given, {node: said for node, said in missing.items() if node.id in alive})
