"""`ray_cluster.yaml`: what Ray's own schema checks, and what it does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from preprocessing.cluster.ray_internals import check_cluster_file

ROOT = Path(__file__).parent.parent


@pytest.fixture
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "ray_cluster.yaml").read_text())
    return loaded


def test_ray_accepts_the_file(cluster: dict[str, Any]) -> None:
    check_cluster_file(cluster)


def test_ray_would_refuse_a_misspelt_key(cluster: dict[str, Any]) -> None:
    cluster["max_worker"] = 3
    with pytest.raises(Exception, match="max_worker"):
        check_cluster_file(cluster)


def test_ray_and_python_are_the_pinned_ones(cluster: dict[str, Any]) -> None:
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned
    text = (ROOT / "ray_cluster.yaml").read_text()
    assert f'"ray[default,train,tune]=={pinned[1]}"' in " ".join(cluster["setup_commands"])
    images = re.findall(r"rayproject/ray:(\S+)", text)
    assert images
    assert all(re.fullmatch(rf"{re.escape(pinned[1])}-py3\d\d(-gpu)?", image) for image in images)
    assert f"ray[default,train,tune]=={pinned[1]}" in (ROOT / "pyproject.toml").read_text()


def test_the_head_does_no_work_and_gpus_are_on_a_type_of_their_own(cluster: dict[str, Any]) -> None:
    types = cluster["available_node_types"]
    assert types[cluster["head_node_type"]]["resources"] == {"CPU": 0}
    assert "--num-cpus=0" in " ".join(cluster["head_start_ray_commands"])
    assert [name for name, each in types.items() if each["resources"].get("GPU")] == ["gpu_worker"]
    assert "GPU" not in types["cpu_worker"]["resources"]


def test_every_node_asks_for_the_token_and_the_file_holds_no_secret(cluster: dict[str, Any]) -> None:
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert all("RAY_AUTH_MODE=token" in line for line in cluster[commands] if "ray start" in line)
    assert "~/.ray/auth_token" in cluster["file_mounts"]
    assert not re.search(r"AKIA|BEGIN [A-Z ]*PRIVATE KEY|aws_secret", (ROOT / "ray_cluster.yaml").read_text())
    assert not any("--dashboard-host=0.0.0.0" in line for line in cluster["head_start_ray_commands"])
