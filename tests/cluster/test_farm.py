"""The first part of `make cluster`: jobs on hosts of their own, one of them hurt."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import stages
from tests.cluster.farm import unavailable
from tests.cluster.faults import FAULTS, Fault, train, tried, weights_sha256
from tests.cluster.ray_farm import RayFarm, ray_farm

pytestmark = [
    pytest.mark.farm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "it can run"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayFarm]:
    """Three nodes, on which a data set is preprocessed and a model trained without disturbance."""
    folder = Path(tempfile.mkdtemp(prefix="farm-", dir="/var/tmp"))
    logs = tmp_path_factory.mktemp("farm-logs")
    with ray_farm(folder, ("node-a", "node-b", "node-c"), logs=logs) as running:
        stages.write_videos(running.farm.shared / "videos")
        stages.succeeded(stages.preprocess(running, "/shared/dataset"))
        stages.succeeded(train(running, "undisturbed"))
        yield running


def test_a_folder_that_nodes_do_not_share_is_refused_before_any_work(cluster: RayFarm) -> None:
    job = stages.preprocess(cluster, "/scratch/dataset")
    assert job.wait(seconds=180) == "FAILED"
    assert "output='/scratch/dataset' is not one folder on all nodes: node-" in job.text
    assert not any((host.folder / "scratch/dataset").exists() for host in cluster.farm.hosts.values())


def test_a_relative_folder_is_refused_with_what_to_write(cluster: RayFarm) -> None:
    job = stages.preprocess(cluster, "dataset")
    assert job.wait(seconds=180) == "FAILED"
    assert "output='dataset': write output=/shared/dataset" in job.text


def test_the_lines_of_a_job_say_where_its_workers_are(cluster: RayFarm) -> None:
    first = next(cluster.logs.glob("train-*.log")).read_text()
    assert "training with 2 workers with 1 CPU each, on processors" in first
    assert "workers: rank 0 on node-" in first


@pytest.mark.parametrize("fault", [each for each in FAULTS if each.is_tested], ids=lambda one: one.name)
def test_a_training_outlives_a_fault_with_the_same_weights(fault: Fault, cluster: RayFarm) -> None:
    expected = weights_sha256(cluster, "undisturbed")
    outcome = tried(cluster, fault, name=fault.name.replace(" ", "-")[:20], expected_sha256=expected)
    assert outcome.ends == "SUCCEEDED", outcome
    assert outcome.same_result, outcome
    assert outcome.repeated_epochs == 0, outcome
    assert any("lost" in line and "restarting from epoch" in line for line in outcome.told), outcome
    assert not any("Connection reset" in line or "Connection closed" in line for line in outcome.told), outcome
