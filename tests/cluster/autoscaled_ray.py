"""A Ray that is scaled to zero and adds nodes as they are asked for, with Ray's own fake provider.

Its nodes are real raylets on this machine; what is fake is the cloud that starts them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import ray

from pipeline.ports import free_port

HEAD_NODE_ID = "f" * 51 + "00000"
"""The head's id and type, as Ray's fake provider has them."""
HEAD_TYPE = "ray.head.default"
PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
SECONDS_TO_START = 120.0


def cluster_file(
    node_types: Mapping[str, Mapping[str, object]], *, gcs_address: str, max_workers: int, idle_minutes: float | int
) -> str:
    """The content of a cluster file whose head has no CPU and whose workers are of these types."""
    lists = (
        "initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands",
        "head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files", "rsync_exclude", "rsync_filter",
    )  # fmt: skip
    content: dict[str, object] = {
        "cluster_name": "fake",
        "max_workers": max_workers,
        "upscaling_speed": 100,
        "idle_timeout_minutes": idle_minutes,
        # "external", because the defaults of "fake_multinode" are in a file that Ray's wheel lacks
        "provider": {
            "type": "external",
            "module": PROVIDER,
            "launch_multiple": True,
            "head_node_id": HEAD_NODE_ID,
            "gcs_address": gcs_address,
        },
        "available_node_types": {
            **{name: {"node_config": {}, "min_workers": 0, **kind} for name, kind in node_types.items()},
            HEAD_TYPE: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        },
        "head_node_type": HEAD_TYPE,
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        **{name: [] for name in lists},
    }
    return json.dumps(content)


@contextmanager
def autoscaled_ray(
    node_types: Mapping[str, Mapping[str, object]], *, max_workers: int = 4, idle_minutes: float | int = 5
) -> Iterator[str]:
    """The address of a Ray with a head that only steers; every process of it is gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    file = folder / "cluster.json"
    port = free_port()
    address = f"{ray.util.get_node_ip_address()}:{port}"  # type: ignore[no-untyped-call]
    file.write_text(cluster_file(node_types, gcs_address=address, max_workers=max_workers, idle_minutes=idle_minutes))
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=0", "--num-gpus=0",
        f"--port={port}", f"--temp-dir={folder}", f"--autoscaling-config={file}",
        "--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={free_port()}",
        f"--dashboard-agent-listen-port={free_port()}", "--object-store-memory=150000000",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD_NODE_ID,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_NODE_ID,
        "RAY_memory_monitor_refresh_ms": "0",
        "RAY_AUTH_MODE": "disabled",
    }
    log = folder / "start.log"
    with log.open("w") as output:
        head = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    try:
        wait_for_start(head, log)
        yield address
    finally:
        head.terminate()
        kill_all(str(folder))
        head.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for_start(head: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while "Ray runtime started" not in log.read_text():
        is_well = head.poll() is None and time.monotonic() < deadline
        assert is_well, f"Ray did not start: {log.read_text()[-3000:]}"
        time.sleep(0.2)


def kill_all(name: str) -> None:
    """End every process whose command line or environment names this Ray's own folder."""
    deadline = time.monotonic() + 30
    while (found := processes_naming(name)) and time.monotonic() < deadline:
        for process in found:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.2)


def processes_naming(name: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if name.encode() in words and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found
