"""`Dockerfile`: what can be said of the images without building them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
TARGETS = ("cpu", "gpu")
CODE = ("preprocessing", "training", "evaluation", "pipeline")


@dataclass(frozen=True)
class Stage:
    """What lies between one FROM and the next."""

    base: str
    lines: tuple[tuple[str, str], ...]
    """Instructions and their arguments, each on one line."""

    def all(self, instruction: str) -> list[str]:
        return [arguments for name, arguments in self.lines if name == instruction]


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    """Every stage by name, in the order of the file."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    assert lines[0][0] == "FROM"
    starts = [number for number, (name, _) in enumerate(lines) if name == "FROM"]
    found = {}
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        base, word, name = lines[start][1].split()
        assert word == "AS"
        found[name] = Stage(base, tuple((each, " ".join(rest.split())) for each, rest in lines[start + 1 : end]))
    return found


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    loaded: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return loaded


@pytest.fixture(scope="module")
def requirements(stages: dict[str, Stage], tmp_path_factory: pytest.TempPathFactory) -> list[Requirement]:
    """What the images install, as the Dockerfile's own command writes it."""
    [command] = [line for line in stages["libraries"].all("RUN") if line.endswith("> requirements.txt")]
    script = re.fullmatch(r"python -c '(.*)' > requirements\.txt", command)
    assert script
    written = subprocess.run([sys.executable, "-c", script[1]], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Requirement(line) for line in written.stdout.splitlines()]


def test_both_targets_are_the_same_but_for_torch(stages: dict[str, Stage]) -> None:
    assert set(TARGETS) < set(stages)
    cpu, gpu = (stages[name] for name in TARGETS)
    assert cpu.base == gpu.base == "libraries"
    differing = [pair for pair in zip(cpu.lines, gpu.lines, strict=True) if pair[0] != pair[1]]
    [((_, with_cpu), (_, with_gpu))] = differing
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in with_cpu
    assert "index-url" not in with_gpu


def test_the_libraries_are_those_of_the_project_with_s3_and_aws(
    requirements: list[Requirement], project: dict[str, Any]
) -> None:
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *extras["s3"], *extras["aws"]]
    assert requirements == [Requirement(each) for each in wanted]
    [ray] = [each for each in requirements if each.name == "ray"]
    assert ray.extras == {"default", "train", "tune"}
    assert f"ray{ray.specifier}" in (ROOT / "constraints.txt").read_text().split()


def test_every_library_is_pinned_to_a_version_that_the_project_allows(requirements: list[Requirement]) -> None:
    lines = (ROOT / "constraints.txt").read_text().split()
    pinned = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    for each in requirements:
        assert each.specifier.contains(pinned[canonicalize_name(each.name)]), each
    assert "setuptools" in pinned  # builds our wheel
    assert {each.name for each in requirements if each.name.startswith("torch")} == {
        "torch",
        "torchaudio",
        "torchvision",
    }


def test_nothing_is_installed_without_the_pins(stages: dict[str, Stage]) -> None:
    """Our own wheel, which is built beside, comes from no index."""
    installs = [
        line for stage in stages.values() for line in stage.all("RUN") if re.search(r"pip (install|wheel)", line)
    ]
    assert len(installs) == 6
    for line in installs:
        assert "--constraint constraints.txt" in line or ("--no-deps" in line.split() and "--no-index" in line), line
    assert "PIP_NO_CACHE_DIR=1" in " ".join(stages["libraries"].all("ENV"))


def test_a_change_of_the_code_installs_no_library_again(stages: dict[str, Stage]) -> None:
    """A layer is built again when a file copied before it has changed: before the libraries that are the pins alone."""
    assert stages["libraries"].all("COPY") == ["pyproject.toml constraints.txt ./"]
    assert stages["code"].base == "libraries"
    for name in TARGETS:
        assert not stages[name].all("COPY")
        torch, wheel = stages[name].all("RUN")
        assert "torch.txt" in torch
        assert wheel.startswith("--mount=type=bind,from=code,source=/wheels,target=/wheels ")


def test_everything_copied_is_there_and_nothing_else_reaches_the_build(
    stages: dict[str, Stage], project: dict[str, Any]
) -> None:
    copied = [source for stage in stages.values() for line in stage.all("COPY") for source in line.split()[:-1]]
    assert all((ROOT / source).exists() for source in copied)
    ignored, *let_through = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert ignored == "*"
    assert sorted(line.removeprefix("!") for line in let_through if line.startswith("!")) == sorted(copied)
    packages = {name.removesuffix(".*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages == set(CODE) <= set(copied)
    assert {*project["project"]["license-files"], project["project"]["readme"]} <= set(copied)


def test_python_is_one_that_the_project_runs_on(stages: dict[str, Stage], project: dict[str, Any]) -> None:
    version = re.fullmatch(r"python:(3\.\d+)-slim-bookworm", stages["libraries"].base)
    assert version
    assert Requirement(f"python{project['project']['requires-python']}").specifier.contains(f"{version[1]}.0")


@pytest.mark.parametrize("target", TARGETS)
def test_the_user_is_nobody_special_and_owns_what_is_written_to(target: str, stages: dict[str, Stage]) -> None:
    name, uid = stages[target].lines[-1]
    assert name == "USER"
    [made] = [line for line in stages["libraries"].all("RUN") if "useradd" in line]
    assert f"--uid {uid} " in made
    assert int(uid)
    owned = re.search(r"install --directory --owner=ray --group=ray (.+)$", made)
    assert owned
    assert {"/shared", "/home/ray/.ray"} <= set(owned[1].split())
    assert "sudo" not in " ".join(line for stage in stages.values() for line in stage.all("RUN"))
    assert "HOME=/home/ray" in stages["libraries"].all("ENV")  # else Ray mounts files of `~` under /root
    assert stages[target].all("WORKDIR") == ["/home/ray"]


def test_the_autoscaler_and_kuberay_find_their_programs(stages: dict[str, Stage]) -> None:
    [packages] = [line for line in stages["libraries"].all("RUN") if "apt-get" in line]
    assert {"openssh-client", "rsync", "wget"} <= set(packages.split())


def test_the_images_are_tagged_with_the_version_of_the_project(project: dict[str, Any]) -> None:
    tags = re.findall(
        r"docker build --target (\w+) --tag robust-audio-visual:(\S+) \.", (ROOT / "Dockerfile").read_text()
    )
    assert tags == [(target, f"{project['project']['version']}-{target}") for target in TARGETS]
