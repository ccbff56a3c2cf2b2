"""A Ray cluster on a farm of hosts, started by the commands of the documentation, with MLflow and S3 on its network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.farm import Farm, Host

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "/scratch/home/project"
"""The clone from which jobs are submitted, on the head."""
DASHBOARD = "http://127.0.0.1:8265"
GCS_PORT, MLFLOW_PORT, S3_PORT = 6379, 5000, 9000
RAY_ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # every host sees the memory of the whole machine
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "3000",
    "RAY_health_check_timeout_ms": "10000",
    "RAY_health_check_failure_threshold": "3",
}
"""As in ray_cluster.yaml, where it says why; more patience at the start, for two cores carry all hosts."""
FINISHED = ("SUCCEEDED", "FAILED", "STOPPED")
SECONDS_BETWEEN_LOOKS = 0.5


@dataclass
class Job:
    """A command of the project, submitted to the farm's Ray."""

    name: str
    head: Host
    log: Path
    """What it has said, followed from its start."""
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)

    @property
    def text(self) -> str:
        """What it has said so far."""
        return self.log.read_text(errors="replace")

    @property
    def status(self) -> str:
        """SUCCEEDED, FAILED or STOPPED once it has ended, else empty."""
        if self.process.poll() is None:
            return ""
        found = re.findall(r"Job '[^']+' (succeeded|failed|was stopped)", self.text)
        return {"succeeded": "SUCCEEDED", "failed": "FAILED", "was stopped": "STOPPED"}.get(
            found[-1] if found else "", "LOST"
        )

    def wait(self, *, seconds: float | int) -> str:
        """Wait for its end and return its status; empty if it has not ended by then."""
        deadline = time.monotonic() + seconds
        while not self.status and time.monotonic() < deadline:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return self.status

    def stop(self) -> None:
        """End it as a user would."""
        self.head.run("ray", "job", "stop", "--address", DASHBOARD, self.name, env=RAY_ENVIRONMENT, seconds=120)
        self.process.wait(timeout=60)


@dataclass
class RayFarm:
    """A head that only steers, nodes that work, an MLflow server and an S3 API beside the head."""

    farm: Farm
    logs: Path
    """Folder for the logs of jobs and servers."""
    _jobs: int = 0

    @property
    def head(self) -> Host:
        """The host of Ray's head."""
        return self.farm.hosts["head"]

    @property
    def variables(self) -> dict[str, str]:
        """The environment of jobs: where MLflow and S3 are."""
        return {
            "MLFLOW_TRACKING_URI": f"http://head:{MLFLOW_PORT}",
            "AWS_ENDPOINT_URL": f"http://head:{S3_PORT}",
            "AWS_ACCESS_KEY_ID": "access-key-of-the-farm",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-farm",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start_head(self) -> None:
        """Start the head, as docs/how-to/cluster.md says."""
        head = self.farm.add("head")
        self._checked(head, "ray", "get-auth-token", "--generate")
        self._checked(
            head, "ray", "start", "--head", f"--port={GCS_PORT}", "--num-cpus=0", f"--node-ip-address={head.address}",
            "--include-dashboard=true", "--dashboard-host=127.0.0.1", "--object-store-memory=150000000",
        )  # fmt: skip
        copy_project(head.folder / PROJECT.lstrip("/"))

    def start_node(self, name: str, *, cpus: int = 1) -> Host:
        """Start a node that joins."""
        host = self.farm.add(name)
        token = Path("scratch/home/.ray/auth_token")
        (host.folder / token).parent.mkdir(parents=True)
        shutil.copy(self.head.folder / token, host.folder / token)
        (host.folder / token).chmod(0o600)
        self._checked(
            host, "ray", "start", f"--address={self.head.address}:{GCS_PORT}", f"--num-cpus={cpus}",
            f"--node-ip-address={host.address}", "--object-store-memory=150000000",
        )  # fmt: skip
        return host

    def start_mlflow(self) -> None:
        """Start the tracking server, or start it again."""
        self.head.start(
            "mlflow", "server", "--host", "0.0.0.0", "--port", str(MLFLOW_PORT), "--workers", "1",
            "--allowed-hosts", f"head:{MLFLOW_PORT},localhost:*",
            "--backend-store-uri", "sqlite:////scratch/mlflow.db", "--artifacts-destination", "/scratch/mlflow-files",
            log=self.logs / "mlflow.log", env={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )  # fmt: skip
        self._until_open(MLFLOW_PORT)

    def start_s3(self) -> None:
        """Start an S3 API with an empty bucket, `bucket`."""
        self.head.start(
            "moto_server", "-H", "0.0.0.0", "-p", str(S3_PORT),
            log=self.logs / "s3.log", env=self.variables,
        )  # fmt: skip
        self._until_open(S3_PORT)
        make = "import s3fs; s3fs.S3FileSystem().mkdir('bucket')"
        self._checked(self.head, "python", "-c", make, env=self.variables)

    def _until_open(self, port: int) -> None:
        connect = f"import socket; socket.create_connection(('head', {port}), 2).close()"
        deadline = time.monotonic() + 180
        while self.head.run("python", "-c", connect).returncode:
            assert time.monotonic() < deadline, f"nobody listens at port {port}"
            time.sleep(1)

    def _checked(self, host: Host, *words: str, env: Mapping[str, str] | None = None) -> None:
        done = host.run(*words, env={**RAY_ENVIRONMENT, **(env or {})}, seconds=240)
        assert done.returncode == 0, f"{host.name}: {' '.join(words)}\n{done.stdout[-3000:]}"

    def submit(self, *words: str, more: Mapping[str, str] | None = None) -> Job:
        """Submit `python -m pipeline WORDS` as the documentation does."""
        self._jobs += 1
        name = f"{words[0]}-{self._jobs}"
        log = self.logs / f"{name}.log"
        environment = {"env_vars": {**self.variables, "FARM_JOB": name, **(more or {})}}
        process = self.head.start(
            "ray", "job", "submit", "--address", DASHBOARD, "--submission-id", name, "--working-dir", ".",
            "--runtime-env-json", json.dumps(environment), "--", "python", "-m", "pipeline", *words,
            log=log, folder=PROJECT, env=RAY_ENVIRONMENT,
        )  # fmt: skip
        return Job(name, self.head, log, process)

    def workers_of(self, job: Job, word: str = "RayTrainWorker") -> dict[str, list[int]]:
        """The training workers of a job (or other processes of it with this word), by host."""
        found = {
            name: host.processes(word, marker=f"FARM_JOB={job.name}\0")
            for name, host in self.farm.hosts.items()
            if host.is_alive
        }
        return {name: pids for name, pids in found.items() if pids}


def copy_project(folder: Path) -> None:
    """The project's files as they are now, without what git ignores."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.split(b"\0")
    for name in filter(None, map(os.fsdecode, names)):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


@contextmanager
def ray_farm(folder: Path, nodes: Sequence[str], *, logs: Path, shared_mib: int = 1500) -> Iterator[RayFarm]:
    """A running cluster with these nodes of one CPU each, MLflow and S3."""
    logs.mkdir(parents=True, exist_ok=True)
    assert Path(sys.prefix).exists()
    with Farm(folder, shared_mib=shared_mib) as farm:
        cluster = RayFarm(farm, logs)
        cluster.start_head()
        for name in nodes:
            cluster.start_node(name)
        cluster.start_mlflow()
        cluster.start_s3()
        yield cluster
