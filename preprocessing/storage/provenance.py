"""The origin of a record: the project's version and commit, the libraries' versions, and the machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from preprocessing.settings import Settings
from preprocessing.storage.libraries import result_libraries

PROJECT = "robust-audio-visual"
ROOT = Path(__file__).resolve().parents[2]
"""The folder of the code: the root of a clone, or `site-packages`."""
COMMIT_VARIABLE = "ROBUST_AV_COMMIT"
"""Names the commit where the code has no history beside it: in a container's image, and for workers on other nodes."""
GIT_SECONDS = 5
"""After which git is given up: a record without a commit is better than none."""


class Provenance(Settings):
    """The code, the libraries and the machine that something was made with."""

    version: str
    """Of this project."""
    commit: str | None
    """Of its repository, with `-dirty` where files differed from it; None = unknown."""
    libraries: dict[str, str]
    """Versions by name, Python's among them."""
    device: str
    """Name of the processor or GPU."""

    @classmethod
    def on(cls, device: str) -> Provenance:
        """That of what is made by this code on the processor or GPU of this name."""
        return cls(version=project_version(), commit=commit(), libraries=result_libraries(), device=device)

    def __str__(self) -> str:
        code = f"{PROJECT} {self.version}" + (f" ({self.commit[:12]}{_dirty(self.commit)})" if self.commit else "")
        return f"{code} on {self.device}"


def _dirty(commit: str) -> str:
    return ", with changes" if commit.endswith("-dirty") else ""


@cache
def project_version() -> str:
    """The version of this project: of the code that runs, which need not be an installed one."""
    file = ROOT / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text()).get("project", {})
        if project.get("name") == PROJECT:
            return str(project["version"])
    try:
        return version(PROJECT)
    except PackageNotFoundError:
        return "unknown"


@cache
def commit() -> str | None:
    """The commit of the code that runs, followed by `-dirty` if tracked files differ from it; None if nobody knows.

    It is asked of git in a clone, else of the variable `ROBUST_AV_COMMIT`, else of what pip noted when it installed
    from a repository.
    """
    return _commit_of_clone(ROOT) or os.environ.get(COMMIT_VARIABLE) or _commit_of_installation()


def _commit_of_clone(root: Path) -> str | None:
    if not (root / ".git").exists():  # else git would ask the folders above, which may be a stranger's repository
        return None
    describe = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(
            describe, capture_output=True, text=True, timeout=GIT_SECONDS, check=True, env=_without_git_variables()
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def _without_git_variables() -> dict[str, str]:
    """The environment without what points git at another repository, as inside one's hooks."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def _commit_of_installation() -> str | None:
    try:
        noted = distribution(PROJECT).read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    source = json.loads(noted) if noted else {}
    found: str | None = source.get("vcs_info", {}).get("commit_id")
    return found


def device_name(device: str) -> str:
    """The name of the processor, or of the GPU that torch calls `device`."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    return _processor_name()


@cache
def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.lower().startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine() or "unknown"
