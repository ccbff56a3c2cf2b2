"""The resources that the connected Ray has and those that it can get: what can never be had is refused at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import ray

from preprocessing.cluster.nodes import alive_nodes
from preprocessing.cluster.ray_internals import (
    HEAD_NODE_RESOURCE,
    autoscaled_nodes,
    monitor_settings,
    own_processes,
)
from preprocessing.errors import ResourceError, SettingsError

Resources = Mapping[str, float | int]
"""Amounts by name, such as `{"CPU": 2, "GPU": 1}`: what a node has, or what one process takes on one node."""
SECONDS_TO_ASK_THE_HEAD = 60.0
MOST_TASKS_AT_ONCE = 2000
MOST_TASKS_UNTOLD = 200
"""The same, if nobody tells how far the cluster can grow."""


@dataclass(frozen=True)
class NodeType:
    """A kind of node that the autoscaler may add."""

    name: str
    resources: Resources
    max_more: int
    """Nodes of this type that there may be in addition to those alive."""


@dataclass(frozen=True)
class Capacity:
    """The nodes of a Ray, and those that it may still get."""

    nodes: tuple[Resources, ...]
    """Resources of each node alive, taken or free."""
    addable: tuple[NodeType, ...] | None = ()
    """Node types that the autoscaler may add; empty if nothing adds nodes, None if what does so tells no types."""

    @property
    def grows(self) -> bool:
        """True if nodes may be added to those alive."""
        return self.addable is None or any(each.max_more for each in self.addable)

    def total(self, resource: str) -> float:
        """The amount of a resource, such as `CPU`, on the nodes alive."""
        return float(sum(node.get(resource, 0) for node in self.nodes))

    def most(self, resource: str) -> float:
        """The amount of a resource on the nodes alive and on all that are known to be addable."""
        more = sum(each.max_more * each.resources.get(resource, 0) for each in self.addable or ())
        return self.total(resource) + float(more)

    def gives_gpus(self, wanted: bool | None) -> bool:
        """True if work runs on GPUs: as the setting `gpu` says, else if there is one or a node that has may be added.

        Raises:
            SettingsError: if it is unset, no GPU is there, and the cluster does not tell which nodes it can add.
        """
        if wanted is not None:
            return wanted
        if self.addable is None and not self.total("GPU"):
            raise SettingsError(
                "gpu is unset, no node with a GPU is alive, and the cluster does not tell which nodes it can add: "
                "write gpu=true to wait for them, or gpu=false to work on processors"
            )
        return self.most("GPU") > 0

    def could_hold(self, bundles: Sequence[Resources]) -> bool:
        """False if these bundles can never be placed together, even if all other work were done.

        First fit, the largest bundles first, and nodes without a GPU before those with one.
        """
        if self.addable is None:
            return True
        places = [dict(node) for node in self.nodes]
        places += [dict(each.resources) for each in self.addable for _ in range(min(each.max_more, len(bundles)))]
        places.sort(key=_size)
        return all(_place(bundle, places) for bundle in sorted(bundles, key=_size, reverse=True))

    def require(self, bundles: Sequence[Resources], *, what: str, remedy: str) -> None:
        """Refuse what can never be had: it would be waited for without end.

        Raises:
            ResourceError: saying that `what` is wanted, what there is, and the remedy.
        """
        if self.could_hold(bundles):
            return
        names = sorted({name for bundle in bundles for name in bundle})
        most = ", ".join(f"{self.most(name):g} {name}" for name in names)
        kinds = [*self.nodes, *(each.resources for each in self.addable or () if each.max_more)]
        largest = max(kinds, key=_size, default={})
        on_one = ", ".join(f"{largest.get(name, 0):g} {name}" for name in names)
        verb = "can grow to" if self.grows else "has"
        raise ResourceError(f"{what}: Ray {verb} {most} in all and {on_one} on its largest node; {remedy}")


def _size(resources: Resources) -> tuple[float, float]:
    return float(resources.get("GPU", 0)), float(resources.get("CPU", 0))


def _place(bundle: Resources, places: Sequence[dict[str, float | int]]) -> bool:
    """Take a bundle from the first place that has it; false if none has."""
    for place in places:
        if all(place.get(name, 0) >= amount for name, amount in bundle.items()):
            for name, amount in bundle.items():
                place[name] -= amount
            return True
    return False


def capacity() -> Capacity:
    """The capacity of the connected Ray, now."""
    nodes = resources_of_nodes()
    settings = _autoscaler_settings()
    if settings is None:
        return Capacity(nodes, addable=None)
    alive = autoscaled_nodes(gcs_address())[0] if settings else Counter[str]()
    return Capacity(nodes, addable=node_types(settings, alive=alive))


def resources_of_nodes() -> tuple[Resources, ...]:
    """The resources of each node of the connected Ray that is alive."""
    return tuple(node.resources for node in alive_nodes())


def node_types(cluster_file: Mapping[str, object], *, alive: Mapping[str, int]) -> tuple[NodeType, ...]:
    """The worker types of a cluster file (`available_node_types`) with room for more nodes than are `alive`."""
    in_all = int(str(cluster_file.get("max_workers", 2)))  # Ray's own default
    head = cluster_file.get("head_node_type")
    found = []
    kinds = cluster_file.get("available_node_types", {})
    assert isinstance(kinds, Mapping), kinds
    num_workers = sum(count for name, count in alive.items() if name != head)
    for name, kind in kinds.items():
        if name != head:
            most = min(int(kind.get("max_workers", in_all)) - alive.get(name, 0), in_all - num_workers)
            found.append(NodeType(name, dict(kind.get("resources", {})), max_more=max(most, 0)))
    return tuple(found)


def tasks_at_once() -> int:
    """Tasks of one CPU to have submitted at a time: all that the cluster could run once it has grown.

    The autoscaler adds nodes for tasks that wait, and for nothing else. Asked again and again, it follows the cluster.
    """
    there = capacity()
    most = MOST_TASKS_UNTOLD if there.addable is None else int(there.most("CPU"))
    return max(min(most, MOST_TASKS_AT_ONCE), 1)


def _autoscaler_settings() -> dict[str, object] | None:
    """The cluster file that the connected Ray's autoscaler follows: empty without one, None if it cannot be found."""
    if own_processes():  # a private Ray of this process
        return {}
    return _settings_of(gcs_address())


@cache
def _settings_of(address: str) -> dict[str, object] | None:
    here = ray.get_runtime_context().get_node_id()
    if any(node.id == here and HEAD_NODE_RESOURCE in node.resources for node in alive_nodes()):
        return monitor_settings(address)
    task = ray.remote(monitor_settings).options(num_cpus=0, resources={HEAD_NODE_RESOURCE: 0.001})
    found: dict[str, object] | None = ray.get(task.remote(address), timeout=SECONDS_TO_ASK_THE_HEAD)
    return found


def gcs_address() -> str:
    """The `host:port` of the connected Ray."""
    return str(ray.get_runtime_context().gcs_address)
