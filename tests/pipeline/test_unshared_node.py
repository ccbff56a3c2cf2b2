"""A Ray of two nodes of which one has a disk of its own where the other has the output: a mount in its namespace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.preprocessing.cluster.namespaces import WHY_NOT
from tests.preprocessing.small_run import config

ROOT = Path(__file__).parents[2]
CLUSTER = """
import json, os, signal, subprocess, sys, time
from dataclasses import asdict
from pathlib import Path
import ray
from pipeline.cluster import local_ray
from pipeline.doctor.config import DoctorConfig
from pipeline.doctor.run import diagnose_cluster
from preprocessing.cluster.nodes import alive_nodes
from preprocessing.cluster.shared_places import landmarks
from preprocessing.cluster.tasks import build_all, shared_places
from preprocessing.config import PreprocessConfig
from preprocessing.plan import make_plan
from preprocessing.run import preprocess
from tests.preprocessing.cluster.namespaces import NAMESPACE
from tests.training.small_runs import settings
from training.run import check

shared = PreprocessConfig.model_validate_json(sys.argv[1])
private = Path(sys.argv[2])
wanted = shared.model_copy(update={"output": str(private / "shards")})


def below(pid):
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from below(int(child))
    yield pid


def start_node(address):
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={address}", "--block"]
    start += ["--num-cpus=1", "--num-gpus=0", "--disable-usage-stats", "--dashboard-agent-listen-port=0"]
    script = f'hostname node-b && mount -t tmpfs none {private} && exec "$@"'
    return subprocess.Popen([*NAMESPACE, "sh", "-c", script, "sh", *start], stdout=subprocess.DEVNULL)


def refusal(call, *arguments):
    started = time.monotonic()
    try:
        call(*arguments)
    except ValueError as error:
        return {"kind": type(error).__name__, "said": str(error), "seconds": time.monotonic() - started}


def build_without_asking_first():
    plan, _ = make_plan(
        wanted.dataset.listing(), roots=wanted.dataset.roots, settings=wanted.fingerprint(), shard_size=1, seed=0
    )
    with landmarks(*shared_places(wanted, plan)) as known:
        list(build_all(wanted, plan, output=wanted.output, known=known))


told = {}
with local_ray(num_cpus=1, num_gpus=0, show_workers=False):
    node = start_node(ray.get_runtime_context().gcs_address)
    try:
        deadline = time.monotonic() + 120
        while len(alive_nodes()) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        told["preprocess"] = refusal(preprocess, wanted)
        told["left behind"] = [str(each) for each in private.rglob("*")]
        preprocess(shared)
        subprocess.run(["cp", "-r", shared.output, private / "data"], check=True)
        told["train"] = refusal(check, settings(private / "data", Path(shared.output).parent / "out", batch_size=2))
        doctor = DoctorConfig(output=wanted.output, data=shared.output)
        told["doctor"] = [asdict(finding) for finding in diagnose_cluster(doctor, "")]
        told["work"] = refusal(build_without_asking_first)  # last: it cancels tasks, which may be importing something
    finally:
        for pid in list(below(node.pid)):
            os.kill(pid, signal.SIGKILL)
        node.wait()
print(json.dumps(told))
"""


@pytest.mark.slow
@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
def test_a_node_that_does_not_share_the_places_is_named_before_any_work(tiny_videos: Path, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    shared = config(tiny_videos, tmp_path / "shared" / "shards")
    command = [sys.executable, "-c", CLUSTER, shared.model_dump_json(), str(private)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for call in ("preprocess", "work", "train"):
        assert told[call]["kind"] == "UnsharedPlaceError"
        assert "node-b (" in told[call]["said"]
    assert f"output='{private / 'shards'}' is not one folder on all nodes" in told["preprocess"]["said"]
    assert "does not see what the driver wrote; name a folder on a shared file system" in told["preprocess"]["said"]
    assert told["left behind"] == []
    assert "does not see what the driver wrote" in told["work"]["said"]
    assert f"data='{private / 'data'}' is not one folder on all nodes" in told["train"]["said"]
    assert "does not see its 'dataset.json'" in told["train"]["said"]
    assert not (tmp_path / "shared" / "out").exists()
    problems = {finding["name"]: finding for finding in told["doctor"] if finding["state"] == "problem"}
    assert set(problems) == {"shared folders"}
    assert "node-b (" in problems["shared folders"]["said"]
    assert {finding["name"] for finding in told["doctor"]} > {
        "Ray",
        "same versions",
        "clock",
        "decoder sandbox",
        "data",
    }
    assert sum(finding["name"] == "decoder sandbox" for finding in told["doctor"]) == 2
