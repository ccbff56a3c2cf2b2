"""Checks of a machine against real broken things: a full disk, low limits, a program that fails."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.doctor.machine import (
    GIB,
    Memory,
    codecs,
    cpus,
    disk,
    ffmpeg,
    memory_finding,
    open_files,
    read_memory,
    sandbox,
    shared_memory,
)
from tests.preprocessing.cluster.namespaces import NAMESPACE, WHY_NOT

ROOT = Path(__file__).parents[3]
needs_namespaces = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


def on_a_small_disk(folder: Path, check: str) -> list[str]:
    """State and words of a check where `folder` is a disk of 1 MB."""
    script = f'mount -t tmpfs -o size=1m none {folder} && exec "$@"'
    code = f"""
import json, sys
from pathlib import Path
from pipeline.doctor.machine import *
folder = Path(sys.argv[1])
found = {check}
print(json.dumps([found.state, found.said, found.remedy]))
"""
    command = [*NAMESPACE, "sh", "-c", script, "sh", sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


@needs_namespaces
def test_a_full_disk_is_a_problem(tmp_path: Path) -> None:
    state, said, _ = on_a_small_disk(tmp_path, 'disk("output", folder / "not" / "made")')
    assert (state, said) == ("problem", f"0.0 GiB are free at '{tmp_path}'")


@needs_namespaces
def test_little_shared_memory_is_a_warning(tmp_path: Path) -> None:
    state, said, remedy = on_a_small_disk(tmp_path, "shared_memory(folder, Memory(100 << 30, 0))")
    assert (state, said) == ("warning", f"'{tmp_path}' holds 0.0 GiB, 0% of the memory")
    assert "--shm-size=30g" in remedy


def test_a_disk_is_asked_where_a_folder_would_be_made(tmp_path: Path) -> None:
    found = disk("output", tmp_path / "not" / "made")
    assert f"at '{tmp_path}'" in found.said
    assert found.name == "disk of output"


def test_a_system_without_shared_memory_is_in_order(tmp_path: Path) -> None:
    assert shared_memory(tmp_path / "none", Memory(GIB, GIB)).state == "ok"


@pytest.mark.parametrize(
    ("available", "state", "remedy"), [(16, "ok", ""), (5, "warning", "workers=3"), (1, "problem", "end other")]
)
def test_memory_is_compared_with_a_worker_on_each_cpu(available: int, state: str, remedy: str) -> None:
    """A worker takes 1.5 GiB: ten are 15 GiB, and 5 GiB are enough for three."""
    found = memory_finding(Memory(32 * GIB, available * GIB), 10)
    assert found.state == state
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("most", "used"),
    [("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")],
)
def test_a_containers_memory_is_what_its_group_may_have(most: str, used: str, tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  8388608 kB\nMemFree: 1 kB\nMemAvailable: 7340032 kB\n")
    assert read_memory(tmp_path, tmp_path) == Memory(8 * GIB, 7 * GIB)
    (tmp_path / "memory").mkdir()
    (tmp_path / most).write_text(f"{4 * GIB}\n")
    (tmp_path / used).write_text(f"{3 * GIB}\n")
    assert read_memory(tmp_path, tmp_path) == Memory(4 * GIB, GIB)
    (tmp_path / most).write_text("max\n")
    assert read_memory(tmp_path, tmp_path) == Memory(8 * GIB, 7 * GIB)


def test_this_machine_has_memory_and_cpus() -> None:
    memory = read_memory()
    assert 0 < memory.available <= memory.total
    assert cpus() >= 1


@pytest.mark.parametrize(("most", "state"), [(8192, "ok"), (2000, "warning"), (512, "problem")])
def test_a_low_limit_of_open_files_is_told(most: int, state: str) -> None:
    code = "from pipeline.doctor.machine import *; print(open_files().state, open_files().said)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 512), most)),
    )
    assert done.stdout.startswith(f"{state} at most {most:,}")
    assert open_files().name == "open files"


def test_a_missing_codec_is_named() -> None:
    found = codecs(("h264", "no_such_codec"), ("flac", "no_such_encoder"))
    assert found.state == "problem"
    assert "has no no_such_codec (decoder), no_such_encoder (encoder)" in found.said
    assert codecs().state == "ok"


def test_an_ffmpeg_that_fails_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ffmpeg().state == "ok"
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = ffmpeg()
    assert found.state == "warning"
    assert "exit status 127" in found.said


def test_the_sandbox_is_tried_in_a_process_of_its_own(tmp_path: Path) -> None:
    assert sandbox().state in ("ok", "warning")
    code = "from pipeline.doctor.machine import *; import os; sandbox(); open(os.devnull).close(); print('free')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "free\n"


@pytest.mark.parametrize(
    ("script", "state", "said"),
    [
        ("echo '[\"the network\"]'", "warning", "this system cannot forbid: the network"),
        ("echo not permitted >&2; exit 1", "problem", "a process cannot be confined: not permitted"),
        ("exit 1", "problem", "returned non-zero exit status 1"),
    ],
)
def test_a_sandbox_with_holes_is_a_warning_and_none_at_all_a_problem(
    script: str, state: str, said: str, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    found = sandbox(str(python))
    assert found.state == state
    assert said in found.said
