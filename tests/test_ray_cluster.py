"""`ray_cluster.yaml`: what Ray's own schema checks, and what it does not."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from ray.scripts.scripts import cli as ray

from docs.generator.sources import configs
from pipeline.settings.load import load
from preprocessing.cluster.capacity import Capacity, node_types
from preprocessing.cluster.ray_internals import check_cluster_file
from tests.docs.pages import PIPELINE, ROOT, pipeline_commands, shell_lines
from training.config import TrainConfig

FILE = ROOT / "ray_cluster.yaml"
PAGE = ROOT / "docs" / "how-to" / "cluster.md"
VALUES = ("region", "ami", "cpu_image", "gpu_image", "head_profile", "worker_profile", "shared", "mlflow")
"""What a user fills in."""
COMMENTED = re.compile(rf"^  # ((?:{'|'.join(VALUES)}): &)", re.MULTILINE)
RAY = re.compile(r"\bray \w.*")
MACHINES = {"m6i.2xlarge": (8, 0), "c6i.4xlarge": (16, 0), "g6.12xlarge": (48, 4)}
"""vCPUs and GPUs, as https://aws.amazon.com/ec2/instance-types/ lists them."""


def filled(*, without: str = "") -> str:
    """The file as a user fills it in, with its own examples as values."""
    return COMMENTED.sub(
        lambda line: line[0] if line[1].startswith(f"{without}:") else f"  {line[1]}", FILE.read_text()
    )


@pytest.fixture
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(filled())
    return loaded


def test_ray_accepts_the_file(cluster: dict[str, Any]) -> None:
    check_cluster_file(cluster)


def test_ray_would_refuse_a_misspelt_key(cluster: dict[str, Any]) -> None:
    cluster["max_worker"] = 3
    with pytest.raises(Exception, match="max_worker"):
        check_cluster_file(cluster)


@pytest.mark.parametrize("missing", VALUES)
def test_a_value_that_is_not_filled_in_is_named(missing: str) -> None:
    with pytest.raises(yaml.YAMLError, match=f"found undefined alias '{missing}'"):
        yaml.safe_load(filled(without=missing))


def test_ray_up_refuses_the_file_as_it_is_before_it_asks_aws(tmp_path: Path) -> None:
    """Without credentials or a network, so that it could start nothing if it went on."""
    nobody = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run(
        [Path(sys.executable).with_name("ray"), "up", "--yes", FILE],
        env=os.environ | nobody | {"HOME": str(tmp_path), "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode
    assert "found undefined alias 'region'" in done.stderr
    assert "Checking AWS environment settings" not in done.stdout + done.stderr


def test_ray_and_python_are_the_pinned_ones() -> None:
    """Also where the file says how to do without a registry."""
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    python = re.search(r"^FROM python:3\.(\d+)-", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert pinned
    assert python
    text = FILE.read_text()
    assert set(re.findall(r"rayproject/ray:(\S+?)[,\s]", text)) == {
        f"{pinned[1]}-py3{python[1]}-{kind}" for kind in ("cpu", "gpu")
    }
    assert re.findall(r'"(ray\[.*?)"', text) == [f"ray[default,train,tune]=={pinned[1]}"]
    assert f"ray[default,train,tune]=={pinned[1]}" in (ROOT / "pyproject.toml").read_text()


def test_the_images_are_those_that_the_dockerfile_builds(cluster: dict[str, Any]) -> None:
    built = set(re.findall(r"--target \w+ --tag (\S+)", (ROOT / "Dockerfile").read_text()))
    docker, gpu_worker = cluster["docker"], cluster["available_node_types"]["gpu_worker"]["docker"]
    assert docker["head_image"] == docker["worker_image"]
    assert {each.rpartition("/")[2] for each in (docker["head_image"], gpu_worker["worker_image"])} == built
    assert docker["worker_image"].endswith("-cpu")
    assert gpu_worker["worker_image"].endswith("-gpu")


def test_the_head_does_no_work_and_gpus_are_on_a_type_of_their_own(cluster: dict[str, Any]) -> None:
    types = cluster["available_node_types"]
    assert types[cluster["head_node_type"]]["resources"] == {"CPU": 0}
    assert "--num-cpus=0" in " ".join(cluster["head_start_ray_commands"])
    assert [name for name, each in types.items() if each["resources"].get("GPU")] == ["gpu_worker"]
    assert [name for name, each in types.items() if "--gpus all" in options(each)] == ["gpu_worker"]


def test_the_scheduler_would_find_a_place_for_a_gpu_worker_in_it(cluster: dict[str, Any]) -> None:
    types = node_types(cluster, alive={cluster["head_node_type"]: 1})
    empty = Capacity(({"CPU": 0},), types)
    assert cluster["head_node_type"] not in {each.name for each in types}
    assert empty.could_hold([{"CPU": 8, "GPU": 1}] * 8)
    assert not empty.could_hold([{"CPU": 8, "GPU": 64}])


def options(node_type: dict[str, Any]) -> list[str]:
    given: list[str] = node_type.get("docker", {}).get("worker_run_options", [])
    return given


def test_a_node_offers_what_its_machine_has(cluster: dict[str, Any]) -> None:
    workers = [each for name, each in cluster["available_node_types"].items() if name != cluster["head_node_type"]]
    for each in workers:
        cpus, gpus = MACHINES[each["node_config"]["InstanceType"]]
        assert each["resources"] == {"CPU": cpus} | ({"GPU": gpus} if gpus else {})
        assert each["min_workers"] == 0
    assert cluster["max_workers"] == sum(each["max_workers"] for each in workers)


def test_every_training_on_the_pages_about_the_cluster_fits_on_its_gpus(cluster: dict[str, Any]) -> None:
    commands = [
        words for page in (ROOT / "README.md", PAGE) for words in pipeline_commands(page) if words[0] == "train"
    ]
    on_cluster = [words for words in commands if any("=/shared/" in word for word in words)]
    assert on_cluster
    node = cluster["available_node_types"]["gpu_worker"]
    for _, file, *changes in on_cluster:
        training = load(TrainConfig, ROOT / file, changes)
        assert training.workers <= node["max_workers"] * node["resources"]["GPU"]
        assert training.cpus_per_worker * node["resources"]["GPU"] <= node["resources"]["CPU"]


def test_only_what_is_built_again_without_loss_is_on_machines_that_may_be_taken_away(cluster: dict[str, Any]) -> None:
    spot = [name for name, each in cluster["available_node_types"].items() if is_spot(each)]
    assert spot == ["cpu_worker"]


def is_spot(node_type: dict[str, Any]) -> bool:
    return bool(node_type["node_config"].get("InstanceMarketOptions") == {"MarketType": "spot"})


def test_every_node_has_a_machine_image_and_a_profile_of_its_own(cluster: dict[str, Any]) -> None:
    """Without `ImageId` Ray takes an image that is too old, without a profile a worker reaches no bucket."""
    for name, each in cluster["available_node_types"].items():
        assert each["node_config"]["ImageId"] == cluster["metadata"]["ami"]
        profile = "head_profile" if name == cluster["head_node_type"] else "worker_profile"
        assert each["node_config"]["IamInstanceProfile"] == {"Name": cluster["metadata"][profile]}
    asked = re.search(r"--name (/aws/service/deeplearning/ami/x86_64/(\S+)/latest/ami-id)$", FILE.read_text(), re.M)
    assert asked
    assert asked[2] == "base-with-single-cuda-ubuntu-24.04"


def test_the_shared_folder_is_mounted_once_and_belongs_to_the_user_of_the_images(cluster: dict[str, Any]) -> None:
    [uid] = set(re.findall(r"^USER (\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    commands = cluster["initialization_commands"]
    assert commands[-2:] == [cluster["metadata"]["shared"], f"test -w /shared || sudo chown {uid}:{uid} /shared"]
    assert cluster["metadata"]["shared"].startswith("mountpoint -q /shared || sudo mount -t nfs4 ")
    assert any("nfs-common" in line for line in commands[:-2])
    assert "--volume /shared:/shared" in cluster["docker"]["run_options"]
    for line in commands:
        assert subprocess.run(["bash", "-n", "-c", line], check=False).returncode == 0


def test_a_node_that_vanishes_is_noticed_within_twenty_seconds(cluster: dict[str, Any]) -> None:
    """Every missed check lasts `timeout`, the next begins `period` later: the comment has the sum."""
    [start] = [line for line in cluster["head_start_ray_commands"] if "ray start" in line]
    found = dict(re.findall(r"RAY_health_check_(\w+)=(\d+)", start))
    assert found.keys() == {"period_ms", "timeout_ms", "failure_threshold"}
    period, timeout, times = (int(found[name]) for name in ("period_ms", "timeout_ms", "failure_threshold"))
    first = (times * timeout + (times - 1) * period) / 1000
    last = first + period / 1000
    assert 15 <= first <= last <= 20
    comment = re.sub(r"\n# ", " ", FILE.read_text())
    assert f"= {first:g} s to {last:g} s" in comment
    assert f"stalls for up to {first - timeout / 1000:g} s stays" in comment
    assert not any("RAY_health_check" in line for line in cluster["worker_start_ray_commands"])


def test_every_node_asks_for_the_token_and_the_file_holds_no_secret(cluster: dict[str, Any]) -> None:
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert all("RAY_AUTH_MODE=token" in line for line in cluster[commands] if "ray start" in line)
    assert "~/.ray/auth_token" in cluster["file_mounts"]
    assert not re.search(r"AKIA|BEGIN [A-Z ]*PRIVATE KEY|aws_secret|PASSWORD|://\w+:\w+@", FILE.read_text())
    assert not any("--dashboard-host=0.0.0.0" in line for line in cluster["head_start_ray_commands"])


def test_the_commands_of_ray_are_ones_that_ray_has(cluster: dict[str, Any]) -> None:
    header = re.findall(r"^#   (?:\w+=\S+ )?(ray .*?)(?:   .*)?$", FILE.read_text(), re.MULTILINE)
    started = [re.sub(r"^(\w+=\S+\s+)+", "", each) for each in every_start(cluster)]
    assert len(header) == 5
    for line in (*header, *started):
        assert not unknown_words(line), line


@pytest.mark.parametrize("command", [found[0] for line in shell_lines(PAGE) if (found := RAY.search(line))])
def test_every_command_of_ray_on_the_page_is_one_that_ray_has(command: str) -> None:
    assert not unknown_words(command)


def test_a_head_that_is_started_by_hand_checks_alike(cluster: dict[str, Any]) -> None:
    in_file, by_hand = (
        {each for line in lines for each in re.findall(r"RAY_\w+=\w+", line) if "ray start --head" in line}
        for lines in (cluster["head_start_ray_commands"], shell_lines(PAGE))
    )
    assert by_hand == in_file - {"RAY_USAGE_STATS_ENABLED=0"}


def test_the_command_of_the_mlflow_server_has_options_that_mlflow_knows() -> None:
    from mlflow.cli import cli as mlflow

    [line] = [each for each in shell_lines(PAGE) if each.startswith("mlflow server ")]
    assert not unknown_words(line, mlflow)
    port = re.search(r"--port (\d+) ", line)
    assert port
    assert f" --allowed-hosts mlflow.example.internal:{port[1]} " in line
    assert f"http://mlflow.example.internal:{port[1]}" in filled()


def every_start(cluster: dict[str, Any]) -> list[str]:
    return [*cluster["head_start_ray_commands"], *cluster["worker_start_ray_commands"]]


def unknown_words(line: str, command: click.Command = ray) -> list[str]:
    """Subcommands and options of a command line that its program does not know, up to the command of a job."""
    words = shlex.split(line.removesuffix("\\"))[1:]
    while isinstance(command, click.Group):
        name = words.pop(0)
        if name not in command.commands:
            return [name]
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts}
    words = words[: words.index("--")] if "--" in words else words
    return [word for word in words if word.startswith("-") and word.partition("=")[0] not in known]


def test_the_command_of_the_pipeline_in_the_file_would_start() -> None:
    [command] = PIPELINE.findall(FILE.read_text())
    name, file, *changes = shlex.split(command)
    load(configs()[name], ROOT / file, changes)
