"""What an update of Ray may break: every internal name in use, and that nobody else uses any."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import ray

from preprocessing.cluster import ray_internals
from preprocessing.cluster.nodes import alive_nodes

ROOT = Path(__file__).resolve().parents[3]
THE_ONE_MODULE = ROOT / "preprocessing" / "cluster" / "ray_internals.py"
INTERNAL = re.compile(r"^ray(\..+)?\.(_\w+|v2)(\.|$)")
"""Names of Ray's own modules: those that begin with an underscore, and the rooms behind `ray.train`."""


@dataclass(frozen=True)
class Internal:
    """One internal name of Ray."""

    module: str
    name: str
    parameters: tuple[str, ...] | None
    """Of a function, as it is called here; None = it is no function."""
    mend: str
    """The function of `preprocessing/cluster/ray_internals.py` that uses it."""
    look_for: str
    """Where another release may have it."""


INTERNALS = (
    Internal(
        "ray.autoscaler.v2.sdk",
        "get_cluster_status",
        ("gcs_address", "timeout"),
        mend="autoscaled_nodes",
        look_for="what `ray status` prints: the nodes by type, those that are pending and those that failed",
    ),
    Internal(
        "ray._private.worker",
        "_global_node",
        None,
        mend="own_processes",
        look_for="where ray.init keeps the ray._private.node.Node that it has started",
    ),
    Internal(
        "ray._private.services",
        "ProcessInfo.process",
        None,
        mend="own_processes",
        look_for="the entries of the node's all_processes (kind -> list), which ray.shutdown kills",
    ),
    Internal(
        "ray._private.ray_logging",
        "global_worker_stdstream_dispatcher.handlers",
        None,
        mend="show_worker_lines_with",
        look_for="where ray.init registers print_logs: (name, handler) pairs",
    ),
    Internal(
        "ray._private.ray_logging",
        "global_worker_stdstream_dispatcher.add_handler",
        ("name", "handler"),
        mend="show_worker_lines_with",
        look_for="where ray.init registers print_logs",
    ),
    Internal(
        "ray._private.ray_logging",
        "global_worker_stdstream_dispatcher.remove_handler",
        ("name",),
        mend="show_worker_lines_with",
        look_for="where ray.shutdown removes print_logs",
    ),
    Internal(
        "ray._private.services",
        "canonicalize_bootstrap_address",
        ("addr", "temp_dir"),
        mend="bootstrap_address",
        look_for="what ray.init makes of address='auto' before it connects",
    ),
    Internal(
        "ray.autoscaler._private.util",
        "prepare_config",
        ("config",),
        mend="check_cluster_file",
        look_for="what `ray up` does with the file it has read",
    ),
    Internal(
        "ray.autoscaler._private.util",
        "validate_config",
        ("config",),
        mend="check_cluster_file",
        look_for="what `ray up` does with the file it has read",
    ),
    Internal(
        "ray.train.v2._internal.execution.context",
        "TrainRunContext",
        None,
        mend="RunContext",
        look_for="the type of run_context in ray.train.UserCallback.after_report",
    ),
)


@pytest.mark.parametrize("internal", INTERNALS, ids=lambda internal: f"{internal.module}.{internal.name}")
def test_ray_still_has_the_name_that_is_used(internal: Internal) -> None:
    try:
        found: Any = importlib.import_module(internal.module)
        for part in internal.name.split("."):
            found = getattr(found, part)
        parameters = None if internal.parameters is None else tuple(inspect.signature(found).parameters)
    except (ImportError, AttributeError) as error:
        pytest.fail(f"{error}. {advice(internal)}")
    assert parameters == internal.parameters, f"it takes {parameters} now, {internal.parameters} before. " + advice(
        internal
    )


def advice(internal: Internal) -> str:
    return (
        f"This release of Ray has changed {internal.module}.{internal.name}: mend `{internal.mend}` in "
        f"preprocessing/cluster/ray_internals.py. Look for {internal.look_for}. "
        "See first whether there is a public name by now."
    )


def test_ray_still_names_what_prints_the_lines_of_workers() -> None:
    source = inspect.getsource(importlib.import_module("ray._private.worker"))
    assert f'"{ray_internals.PRINTER_NAME}"' in source, (
        "ray.init registers what prints worker lines under another name: mend `PRINTER_NAME` in "
        "preprocessing/cluster/ray_internals.py. Look for add_handler in ray/_private/worker.py"
    )


def test_ray_still_names_the_resource_of_its_head_node() -> None:
    from ray._common.constants import HEAD_NODE_RESOURCE_NAME

    assert ray_internals.HEAD_NODE_RESOURCE == HEAD_NODE_RESOURCE_NAME, (
        "mend `HEAD_NODE_RESOURCE` in preprocessing/cluster/ray_internals.py: without it the trials of a search wait "
        "for ever"
    )


def test_the_own_ray_and_its_limits_are_found(ray_session: None) -> None:
    """A Ray on this machine has several processes of its own and no autoscaler."""
    processes = ray_internals.own_processes()
    assert len(processes) > 2, (
        "mend `own_processes` in preprocessing/cluster/ray_internals.py: ray._private.node.Node.all_processes was the "
        "table of what ray.shutdown kills"
    )
    assert all(process.poll() is None for process in processes)
    address = ray.get_runtime_context().gcs_address
    assert ray_internals.monitor_settings(address) == {}, (
        "mend `monitor_settings` in preprocessing/cluster/ray_internals.py: ray/_private/services.py, start_monitor, "
        "decides with which arguments Ray starts its autoscaler"
    )
    alive, coming, failures = ray_internals.autoscaled_nodes(address)
    assert (alive.total(), coming.total(), failures) == (1, 0, [])
    (head,) = alive_nodes()
    assert head.id == ray.get_runtime_context().get_node_id()
    assert ray_internals.HEAD_NODE_RESOURCE in head.resources


def test_an_address_is_resolved_as_ray_would() -> None:
    assert ray_internals.bootstrap_address("192.0.2.1:6379") == "192.0.2.1:6379"


def test_every_internal_name_in_use_is_in_the_table() -> None:
    listed = [f"{each.module}.{each.name}" for each in INTERNALS]
    missing = [name for name, _ in internal_imports(THE_ONE_MODULE) if not any(row.startswith(name) for row in listed)]
    assert not missing, "give each a row in INTERNALS above"


def test_no_other_module_imports_internals_of_ray() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for folder in ("preprocessing", "training", "evaluation", "pipeline", "studies", "benchmarks", "tests")
        for file in sorted((ROOT / folder).rglob("*.py"))
        if file not in (THE_ONE_MODULE, Path(__file__).resolve())
        for name, line in internal_imports(file)
    ]
    assert not found, "ask preprocessing/cluster/ray_internals.py instead:\n" + "\n".join(found)


def internal_imports(file: Path) -> Iterator[tuple[str, int]]:
    """The names that a file imports from inside Ray, and the lines it does so in."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((name, node.lineno) for name in names if INTERNAL.match(name))


@pytest.mark.parametrize(
    ("name", "is_internal"),
    [
        ("ray._private.state.state", True),
        ("ray._private.worker", True),
        ("ray.autoscaler._private.util", True),
        ("ray.train.v2.api.config.RunConfig", True),
        ("ray.train._internal.session", True),
        ("ray.train.RunConfig", False),
        ("ray.util.state.list_actors", False),
        ("preprocessing.cluster.ray_internals", False),
    ],
)
def test_what_counts_as_internal(name: str, is_internal: bool) -> None:
    assert bool(INTERNAL.match(name)) == is_internal
