"""The one place that connects to Ray: a private one on this machine, or a cluster named by `RAY_ADDRESS`."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import AuthenticationError, RayError
from ray.util.state import list_actors
from ray.util.state.exception import RayStateApiException

from pipeline.endings import interrupt_on_sigterm
from pipeline.environment import ENVIRONMENT, JOB_VARIABLE, is_submitted_job, set_up_environment
from pipeline.ports import free_port
from pipeline.tracking.address import CREDENTIALS, VARIABLE
from preprocessing.cluster.ray_internals import bootstrap_address, own_processes, show_worker_lines_with
from preprocessing.cluster.waiting import cluster_in_words
from preprocessing.errors import ResourceError, SettingsError
from preprocessing.reporting.heartbeat import heartbeat
from preprocessing.storage.provenance import COMMIT_VARIABLE, commit

logger = logging.getLogger(__name__)

CHATTER = (
    "Reporting training result",
    "[c10d] The hostname of the client socket cannot be retrieved",
    "Actor with class name: 'PreemptionWatcher'",
)
"""Lines with these words say nothing to a user: Ray's and torch's about their own insides."""

OF_THE_DRIVER = (VARIABLE, *CREDENTIALS)
"""Variables that Ray's processes are not given: the driver alone talks to MLflow."""
PACKAGES = Path(__file__).resolve().parents[1]
"""The folder that holds this project's packages, a clone or `site-packages`."""


@contextmanager
def connect(address: str | None = None, *, num_cpus: int | None = None, show_workers: bool = True) -> Iterator[None]:
    """Be connected to Ray inside the `with` block.

    An already connected process (a test, or several stages in one run) keeps its Ray. Otherwise `address` or the
    variable `RAY_ADDRESS` names a cluster (`auto` or `host:port`; set by `ray job submit`); with neither, a private Ray
    with `num_cpus` CPUs (default: all) is started on this machine and stopped at the end. `show_workers` repeats here
    what worker processes say.

    Raises:
        ValueError: if the address is of another kind or nobody answers there.
    """
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    set_up_environment(local=address == "local")
    started = local_ray(num_cpus=num_cpus, show_workers=show_workers)
    with started if address == "local" else _cluster(address, show_workers=show_workers):
        interrupt_on_sigterm()  # Ray has set its own way
        yield


@contextmanager
def local_ray(*, num_cpus: int | None = None, num_gpus: int | None = None, show_workers: bool = True) -> Iterator[None]:
    """A private Ray on this machine with its dashboard; gone without a trace at the end."""
    # Short, because it is the beginning of socket paths (at most 107 bytes); private, because runs do not share it.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp" if Path("/tmp").is_dir() else None)
    port = free_port()
    try:
        # Ray's own actors look for the dashboard; beside another Ray on this machine they would not know which is ours.
        with environment(RAY_API_SERVER_ADDRESS=f"http://127.0.0.1:{port}"):
            # The folder of the start is where workers look for modules before all others.
            starting = heartbeat(lambda: "starting Ray on this machine")
            with chdir(PACKAGES), environment(**dict.fromkeys(OF_THE_DRIVER)), starting:
                ray.init(
                    address="local",
                    num_cpus=num_cpus,
                    num_gpus=num_gpus,
                    include_dashboard=True,
                    dashboard_host="127.0.0.1",
                    dashboard_port=port,
                    log_to_driver=show_workers,
                    logging_level=logging.ERROR,
                    _temp_dir=folder,
                )
            repeat_as_own_lines()
            yield
    finally:
        _end()
        shutil.rmtree(folder, ignore_errors=True)


def _end() -> None:
    """Shut the own Ray down and wait for all of it: on a busy machine it would leave what it has killed still dying."""
    processes = own_processes()
    with heartbeat(lambda: "waiting for the end of Ray's processes"):
        ray.shutdown()
        for process in processes:
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                logger.warning("process %d of Ray does not end; end it by hand", process.pid)


def repeat_as_own_lines() -> None:
    """Give what worker processes say the look of our own log lines, without Ray's chatter."""
    show_worker_lines_with(_repeat)


def _repeat(said: Mapping[str, Any]) -> None:
    if not str(said.get("pid")).isdigit():  # Ray's own processes, such as the autoscaler
        return
    for line in said.get("lines", ()):
        if line.strip() and not any(words in line for words in CHATTER):
            logger.info("%s", line)


@contextmanager
def environment(**variables: str | None) -> Iterator[None]:
    """Environment variables that hold inside the block; those that are None are not there."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _cluster(address: str, *, show_workers: bool) -> Iterator[None]:
    require_listener(address)
    runtime: dict[str, object] = {"env_vars": variables_of_workers()}
    if not is_submitted_job():  # its working directory is there already
        runtime["working_dir"] = str(Path.cwd())
    logger.info("connecting to the Ray at '%s'", address)
    with refusals_of(address):
        there = ray.init(address=address, runtime_env=runtime, log_to_driver=show_workers, logging_level=logging.ERROR)
    try:
        repeat_as_own_lines()
        has = cluster_in_words([{"CPU": 1, "GPU": 1}])
        logger.info("connected: %s; dashboard at http://%s", has, there.dashboard_url or "(none)")
        yield
    finally:
        ray.shutdown()


def variables_of_workers() -> dict[str, str]:
    """The part of this environment that worker processes on every node are given: our defaults, and the commit.

    Those of a submitted job (`--runtime-env-json`) are left out: Ray hands them on itself, and refuses one given twice.
    """
    variables = {name: os.environ[name] for name in ENVIRONMENT}
    if known := commit():  # workers get the files without their history
        variables[COMMIT_VARIABLE] = known
    job = json.loads(os.environ.get(JOB_VARIABLE, "{}"))
    given = (job.get("runtime_env") or {}).get("env_vars") or {}
    return {name: value for name, value in variables.items() if name not in given}


@contextmanager
def refusals_of(address: str) -> Iterator[None]:
    """Tell that a cluster takes nobody, or not this program, in one line with the remedy."""
    try:
        yield
    except (RayError, RuntimeError, ValueError, OSError) as error:
        said = " ".join(str(error).split())[:300] or type(error).__name__
        if isinstance(error, AuthenticationError):
            remedy = (
                "set RAY_AUTH_MODE=token and put the cluster's token into ~/.ray/auth_token (`ray get-auth-token` on "
                "its head prints it)"
            )
        elif "ersion mismatch" in said:
            remedy = "install on both sides what constraints.txt names"
        elif "exceeds the maximum size" in said:
            remedy = "start from a clean clone, or list in a file .rayignore what workers do not need, such as data"
        elif (
            "Failed to connect" in said
        ):  # somebody answers there, see `require_listener`: Ray keeps the reason to itself
            remedy = (
                "the token is another than the cluster's, if it has one (RAY_AUTH_MODE=token and ~/.ray/auth_token; "
                "`ray get-auth-token` on its head prints it), or its head is not well (`ray status` there)"
            )
        else:
            remedy = "`ray status` on the head tells whether it is well"
        raise ResourceError(f"the Ray at '{address}' cannot be used ({said}); {remedy}") from error


def require_listener(address: str, *, timeout_seconds: float = 5.0) -> None:
    """Refuse an address that `ray.init` would wait for without end.

    Raises:
        ValueError: if `address` is neither `auto` nor `host:port`, or nobody answers there.
    """
    if "://" in address:
        raise SettingsError(
            f"RAY_ADDRESS is '{address}'; allowed: auto or host:port. "
            "An http:// address is for `ray job submit --address`"
        )
    try:
        found = bootstrap_address(address)
        host, _, port = found.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=timeout_seconds):
            return
    except (ConnectionError, OSError, ValueError) as error:
        raise ResourceError(
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
        raise ResourceError(
            f"Ray's dashboard does not answer ({str(error).splitlines()[0]}). A search needs it: without it, "
            "a trial that is stopped early keeps its CPUs for ever. Start Ray with its dashboard "
            "(`ray start --head --include-dashboard=true`, package `ray[default]`)"
        ) from error
