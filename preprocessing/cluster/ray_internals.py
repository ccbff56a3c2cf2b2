"""The parts of Ray without a public name that this project cannot do without: nothing else imports Ray's internals.

Each function says what it is for and which public name is missing. Ray may change them in any release: after an update
`tests/preprocessing/cluster/test_ray_internals.py` says which function to mend, and what to look for in the release.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

if TYPE_CHECKING:
    from ray.train.v2._internal.execution.context import TrainRunContext

    RunContext: TypeAlias = TrainRunContext
else:
    RunContext: TypeAlias = Any
"""The first argument of `ray.train.UserCallback.after_report`, which is public while its type is not."""

HEAD_NODE_RESOURCE = "node:__internal_head__"
"""The resource that Ray gives to its head node alone: asking for a little of it puts a task or trial there.

Ray's documentation names it, and no public constant holds it.
"""
PRINTER_NAME = "ray_print_logs"
"""The name under which Ray registers what prints the lines of worker processes."""


def monitor_settings(gcs_address: str) -> dict[str, Any] | None:
    """The cluster file that the autoscaler on this machine, Ray's head, follows; empty if it adds no nodes.

    None if no autoscaler of the Ray at `gcs_address` runs on this machine: Kubernetes runs it in a container of its
    own. `ray.autoscaler.sdk` can ask for nodes, and no public name tells which ones there could be. The command line of
    Ray's monitor process does.
    """
    port = gcs_address.rpartition(":")[2]  # a machine has several addresses, and one listener at a port
    for arguments in _command_lines():
        is_monitor = any(each.endswith("monitor.py") for each in arguments)
        if is_monitor and any(each.startswith("--gcs-address=") and each.endswith(f":{port}") for each in arguments):
            given = [each.partition("=")[2] for each in arguments if each.startswith("--autoscaling-config=")]
            return yaml.safe_load(Path(given[0]).expanduser().read_text()) if given else {}
    return None


def _command_lines() -> Iterator[list[str]]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # ended meanwhile, or another user's
            yield file.read_text(errors="replace").split("\0")


def autoscaled_nodes(gcs_address: str) -> tuple[Counter[str], Counter[str], list[str]]:
    """Nodes alive by node type, nodes on their way by node type, and what was said of nodes that could not be started.

    `ray status` prints all of it as text, and no public name returns it.
    """
    from ray.autoscaler.v2.sdk import get_cluster_status

    status = get_cluster_status(gcs_address)
    alive = Counter(node.ray_node_type_name for node in (*status.active_nodes, *status.idle_nodes))
    coming = Counter(node.ray_node_type_name for node in status.pending_nodes)
    for launch in status.pending_launches:
        coming[launch.ray_node_type_name] += launch.count
    failures = [
        f"{launch.ray_node_type_name}: {launch.details or 'no reason given'}" for launch in status.failed_launches
    ]
    return alive, coming, failures


def own_processes() -> list[subprocess.Popen[bytes]]:
    """The processes of the Ray that this process has started, such as its raylet and dashboard; empty if it has none.

    `ray.shutdown` kills some of them without waiting for their end, and no public name lists them.
    """
    from ray._private import worker

    node = worker._global_node
    return [part.process for parts in node.all_processes.values() for part in parts] if node else []


def show_worker_lines_with(handler: Callable[[Mapping[str, Any]], None]) -> None:
    """Give what worker processes print to `handler`, in place of Ray's own printer.

    It is called with `{"pid": ..., "lines": [...]}`. Nothing happens if Ray prints nothing (`log_to_driver=False`) or
    has been told before. `ray.init` can switch the lines on and off; no public name passes them on.
    """
    from ray._private.ray_logging import global_worker_stdstream_dispatcher as dispatcher

    if any(name == PRINTER_NAME for name, _ in dispatcher.handlers):
        dispatcher.remove_handler(PRINTER_NAME)
        dispatcher.add_handler(PRINTER_NAME, handler)


def bootstrap_address(address: str) -> str:
    """The `host:port` that `ray.init(address)` would connect to; empty if `auto` finds no running Ray.

    `ray.init` waits long for an address nobody listens at. It is asked for first, so that it can be tried, and no
    public name resolves `auto`.

    Raises:
        ConnectionError: if `auto` finds no running Ray.
        ValueError: if the address is of another form.
    """
    from ray._private.services import canonicalize_bootstrap_address

    return canonicalize_bootstrap_address(address) or ""


def check_cluster_file(content: dict[str, Any]) -> None:
    """Refuse the content of a cluster file that `ray up` would refuse.

    `ray up` itself would start the cluster, and no public name checks the file alone.

    Raises:
        Exception: with Ray's own message.
    """
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(content))
