"""`make`: what it says when it cannot install. The installing itself is tested by every clean clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TARGETS = ("demo", "test", "test-slow", "lint", "docs", "bench", "bench-transfer", "soak", "clean")


def make(*words: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PIP_"))}
    return subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files that setting up needs, in an empty folder."""
    (tmp_path / "tests").mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "tests/oracles.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_make_alone_lists_the_targets() -> None:
    done = make()
    assert done.returncode == 0
    assert all(f"make {target}" in done.stdout for target in TARGETS)


def test_a_wrong_python_is_named_with_what_to_do(clone: Path) -> None:
    old = clone / "python3.8"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.8.18" && exit 0\nexit 1\n')
    old.chmod(0o755)
    done = make("test", f"PYTHON={old}", folder=clone)
    assert done.returncode == 2
    assert f"PYTHON={old} is Python 3.8.18; wanted: 3.11, 3.12 or 3.13." in done.stdout
    assert not (clone / ".venv").exists()


def test_a_machine_without_a_fitting_python_is_told_how_to_get_one(clone: Path) -> None:
    done = make("demo", "PYTHON=", folder=clone)
    assert done.returncode == 2
    assert "No Python 3.11, 3.12 or 3.13 runs here" in done.stdout
    assert "make demo PYTHON=/path/to/python3.12" in done.stdout


def test_too_little_disk_is_noticed_before_anything_is_installed(clone: Path) -> None:
    done = make("test", f"PYTHON={sys.executable}", "NEEDED_GB=1000000000", folder=clone)
    assert done.returncode == 2
    assert "GB of disk is free" in done.stdout
    assert not (clone / ".venv").exists()


def test_a_failed_installation_names_the_usual_causes_and_leaves_no_stamp(clone: Path) -> None:
    done = make(
        "test", f"PYTHON={sys.executable}", "NEEDED_GB=0", folder=clone, PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull
    )
    assert done.returncode == 2
    assert "no network, or a proxy" in done.stdout
    assert not (clone / ".venv" / "installed").exists()
