"""A cluster that is scaled to zero, as ray_cluster.yaml starts it: work brings its nodes, and they leave with it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from pipeline.environment import JOB_VARIABLE
from tests.cluster.autoscaled_ray import autoscaled_ray

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs Linux's /proc"),
]
ROOT = Path(__file__).resolve().parents[2]
NODE_TYPES = {
    "cpu_worker": {"resources": {"CPU": 1}, "max_workers": 2},
    "gpu_worker": {"resources": {"CPU": 1, "GPU": 1}, "max_workers": 1},
}
NODES = """
import json, sys, time, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
while True:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    print(json.dumps([[each.get("CPU", 0), each.get("GPU", 0)] for each in nodes]), flush=True)
    time.sleep(0.5)
"""
"""Prints the CPUs and GPUs of the nodes alive, again and again."""
TRAIN = ("epochs=1", "batch_size=8", "model={video_encoder: tiny, audio_encoder: tiny, feature_size: 16}")


@dataclass(frozen=True)
class Cluster:
    address: str
    log: Path
    """Of the nodes alive, by time."""

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the project, with both its streams as `stdout`."""
        return subprocess.run(
            [sys.executable, "-m", "pipeline", *words], env=environment(self.address), cwd=ROOT, check=False, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=280,
        )  # fmt: skip

    def nodes(self) -> list[list[list[int]]]:
        """CPUs and GPUs of the nodes alive, look by look."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("]")]


def environment(address: str) -> dict[str, str]:
    """That of a job whose code all nodes have: fake nodes share a folder, and would unpack an upload there at once."""
    return {**os.environ, "RAY_ADDRESS": address, JOB_VARIABLE: "{}", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    log = tmp_path_factory.mktemp("autoscaled") / "nodes.log"
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        with autoscaled_ray(NODE_TYPES, idle_minutes=0.15) as address, log.open("w") as output:
            watcher = subprocess.Popen(
                [sys.executable, "-c", NODES, address], env=environment(address), stdout=output, cwd=ROOT
            )
            try:
                yield Cluster(address, log)
            finally:
                watcher.kill()
                watcher.wait()
    finally:
        del os.environ["PYTHONPATH"]


def test_preprocessing_brings_every_node_it_may_have_and_they_leave(
    cluster: Cluster, tiny_videos: Path, tmp_path: Path
) -> None:
    done = cluster.run(
        "preprocess", "dataset.name=folder", f"dataset.root={tiny_videos}", f"output={tmp_path / 'shards'}",
        "shard_size=4", "format.num_segments=4", "format.segment_seconds=0.5", "format.frame_size=32",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "connected: the cluster has 0 CPU, 0 GPU" in done.stdout, done.stdout
    seen = cluster.nodes()
    assert seen[0] == [[0, 0]], "it was not scaled to zero"
    assert max(sum(cpus for cpus, _ in nodes) for nodes in seen) == 3, "it did not grow as far as it may"
    deadline = time.monotonic() + 120
    while cluster.nodes()[-1] != [[0, 0]]:
        assert time.monotonic() < deadline, "nodes stay without work"
        time.sleep(1)


def test_what_the_cluster_can_never_have_is_refused_at_once(
    cluster: Cluster, tiny_dataset: Path, tmp_path: Path
) -> None:
    done = cluster.run("train", f"data={tiny_dataset}", f"output={tmp_path / 'out'}", "workers=2", "gpu=true", *TRAIN)
    assert done.returncode == 2, done.stdout
    said = "error: training takes 2 workers with 1 GPU and 1 CPU each: Ray can grow to 3 CPU, 1 GPU in all"
    assert said in done.stdout, done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU of the fake node exists here")
def test_training_waits_aloud_for_a_gpu_node_and_never_lands_on_processors(
    cluster: Cluster, tiny_dataset: Path, tmp_path: Path
) -> None:
    """The node type has a GPU, and this machine has none: so far, and no further, the way can be gone here."""
    done = cluster.run("train", f"data={tiny_dataset}", f"output={tmp_path / 'out'}", *TRAIN)
    assert done.returncode == 2, done.stdout
    assert "training with 1 worker with 1 GPU and 1 CPU, on GPUs" in done.stdout
    assert any([1, 1] in nodes for nodes in cluster.nodes())
    assert "Ray gave the workers GPUs that torch cannot use there" in done.stdout


def test_a_wait_that_takes_too_long_is_given_up(cluster: Cluster, tiny_dataset: Path, tmp_path: Path) -> None:
    """A node needs seconds to start, and so long nobody waits."""
    done = cluster.run(
        "train", f"data={tiny_dataset}", f"output={tmp_path / 'out'}", "gpu=false", "workers=3", "batch_size=9",
        "max_wait_minutes=0.001", *TRAIN[2:], "epochs=1",
    )  # fmt: skip
    assert done.returncode == 2, done.stdout
    said = re.search(r"error: 3 workers with 1 CPU each: not there after \d+ s \(the cluster has \d CPU", done.stdout)
    assert said, done.stdout
