"""An installed copy, not the clone: what a wheel holds and does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.docs.readme import commands_of, made_small

ROOT = Path(__file__).parents[2]
PACKAGES = ("pipeline", "preprocessing", "training", "evaluation")


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`robust-av` of a fresh environment that borrows this one's libraries, but not its own editable copy."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, source], check=True, cwd=folder
    )
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    target = folder / "venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    # Paths of such a file are searched, their own .pth files (an editable copy's) are not read.
    (target / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run(
        [*pip, "--python", python, "install", "--no-deps", "--no-index", "--ignore-installed", wheel], check=True
    )
    return folder / "venv" / "bin" / "robust-av"


def run(script: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [script, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )


@pytest.mark.slow
def test_a_mistake_is_a_message_with_status_2(script: Path, tmp_path: Path) -> None:
    done = run(script, tmp_path, "train", "no=such")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error: 3 problems in the command line:"
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
    traced = run(script, tmp_path, "train", "no=such", "--traceback")
    assert traced.returncode == 2
    assert "site-packages/pipeline/commands/app.py" in traced.stderr


@pytest.mark.slow
def test_the_script_tells_its_name_and_version(script: Path, tmp_path: Path) -> None:
    assert run(script, tmp_path, "--version").stdout == "robust-audio-visual 0.1.0\n"
    assert run(script, tmp_path, "train", "--help").stdout.startswith("Usage: robust-av train ")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_front_page_runs_where_nothing_is_but_videos(script: Path, tiny_videos: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").symlink_to(tiny_videos)
    for words in commands_of("mine"):
        done = run(script, tmp_path, *made_small(words))
        assert done.returncode == 0, (words, done.stderr)
    assert (tmp_path / "runs/mine/dataset/inspect.html").is_file()
    assert (tmp_path / "runs/mine/robust/report.html").is_file()
    assert len((tmp_path / "runs/mine/found.csv").read_text().splitlines()) == 41


@pytest.mark.slow
def test_strangers_packages_in_the_folder_are_left_alone(script: Path, tiny_videos: Path, tmp_path: Path) -> None:
    """Neither the command nor its workers import them."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('a stranger')\n")
    settings = ["dataset.name=folder", f"dataset.root={tiny_videos}", "format.num_segments=4"]
    small = ["format.segment_seconds=0.5", "format.frame_size=32", "format.num_mels=32", "shard_size=40"]
    done = run(script, tmp_path, "preprocess", *settings, *small, "output=shards")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shards" / "dataset.json").is_file()
