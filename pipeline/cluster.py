"""The one place that connects to Ray: a private one on this machine, or a cluster named by `RAY_ADDRESS`."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from ray._private.services import canonicalize_bootstrap_address
from ray.util.state import list_actors
from ray.util.state.exception import RayStateApiException

logger = logging.getLogger(__name__)

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # a Ray CPU is one thread; numerical libraries would take all cores each
    "RAY_DEDUP_LOGS": "0",  # progress lines look alike, and every one of them counts
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # a checkpoint counts only once the controller has polled it
    "RAY_TRAIN_COLLECTIVE_TIMEOUT_S": "600",  # without it a lost rank hangs the others for ever
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "60",
    "RAY_TRAIN_METRICS_ENABLED": "0",
}
"""What Ray and its workers find in their environment unless the user set it otherwise."""

LOCAL_ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",  # Ray listens on this machine only and must leave no token in the home folder
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # nobody preempts this machine
}


@contextmanager
def connect(address: str | None = None, *, num_cpus: int | None = None) -> Iterator[None]:
    """Be connected to Ray inside the `with` block.

    An already connected process (a test, or several stages in one run) keeps its Ray. Otherwise `address` or the
    variable `RAY_ADDRESS` names a cluster (`auto` or `host:port`; set by `ray job submit`); with neither, a private Ray
    with `num_cpus` CPUs (default: all) is started on this machine and stopped at the end.

    Raises:
        ValueError: if the address is of another kind or nobody answers there.
    """
    if ray.is_initialized():
        yield
        return
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    try:
        with _local(num_cpus) if address == "local" else _cluster(address):
            yield
    finally:
        ray.shutdown()


@contextmanager
def _local(num_cpus: int | None) -> Iterator[None]:
    for name, value in LOCAL_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Short, because it is the beginning of socket paths (at most 107 bytes); private, because runs do not share it.
    base = "/tmp" if Path("/tmp").is_dir() else None
    folder = tempfile.mkdtemp(prefix="ray-", dir=base)
    try:
        ray.init(
            address="local",
            num_cpus=num_cpus,
            include_dashboard=True,
            log_to_driver=True,
            logging_level=logging.ERROR,
            _temp_dir=folder,
        )
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _cluster(address: str) -> Iterator[None]:
    require_listener(address)
    environment = {name: os.environ[name] for name in ENVIRONMENT}
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:  # a submitted job: its working directory is there already
        runtime: dict[str, object] = {}
    else:
        runtime = {"working_dir": str(Path.cwd()), "env_vars": environment}
    ray.init(address=address, runtime_env=runtime, log_to_driver=True, logging_level=logging.ERROR)
    yield


def require_listener(address: str, *, timeout_seconds: float = 5.0) -> None:
    """Refuse an address that `ray.init` would wait for without end.

    Raises:
        ValueError: if `address` is neither `auto` nor `host:port`, or nobody answers there.
    """
    if "://" in address:
        raise ValueError(
            f"RAY_ADDRESS is '{address}'; allowed: auto or host:port. "
            "An http:// address is for `ray job submit --address`"
        )
    try:
        found = canonicalize_bootstrap_address(address) or ""
        host, _, port = found.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=timeout_seconds):
            return
    except (ConnectionError, OSError, ValueError) as error:
        raise ValueError(
            f"RAY_ADDRESS is '{address}', and no Ray answers there ({error}); "
            "start one with `ray start --head`, or unset RAY_ADDRESS to use this machine alone"
        ) from None


def require_dashboard() -> None:
    """Refuse a Ray without its dashboard: there a stopped trial would never give its CPUs back.

    Raises:
        ValueError: if the dashboard's state service does not answer.
    """
    try:
        list_actors(limit=1, timeout=20)
    except (RayStateApiException, ConnectionError, OSError, RuntimeError) as error:
        raise ValueError(
            f"Ray's dashboard does not answer ({str(error).splitlines()[0]}). A search needs it: without it, "
            "a trial that is stopped early keeps its CPUs for ever. Start Ray with its dashboard "
            "(`ray start --head --include-dashboard=true`, package `ray[default]`)"
        ) from error


def num_nodes() -> int:
    """Machines alive in the connected Ray."""
    return sum(bool(node["Alive"]) for node in ray.nodes())  # type: ignore[no-untyped-call]


def total(resource: str) -> float:
    """How much of `resource` (`CPU`, `GPU`) the connected Ray has in all."""
    return float(ray.cluster_resources().get(resource, 0))  # type: ignore[no-untyped-call]
