"""Every command that writes a folder and holds it refuses to be the second one there, before any work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.commands import main
from pipeline.endings import GO_ON

HOLD = """
import sys
from preprocessing.storage.output_lock import held
with held(sys.argv[1], command="train"):
    print("held", flush=True)
    sys.stdin.read()
"""
WORDS = {
    "evaluate": "checkpoint={tmp}/none data={tmp}/none",
    "corruptions": "checkpoint={tmp}/none data={tmp}/none",
    "transfer": "checkpoint=[{tmp}/none,{tmp}/other] data={tmp}/none",
    "perceptibility": "{tmp}/none",
}


@pytest.fixture(scope="module")
def held_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A folder that another process holds, and the number of that process."""
    folder = tmp_path_factory.mktemp("held") / "out"
    command = [sys.executable, "-c", HOLD, str(folder)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield folder, holder.pid
        holder.communicate("")


@pytest.mark.parametrize("command", WORDS)
def test_a_second_run_is_refused_with_who_holds_the_output(
    command: str, held_folder: tuple[Path, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, pid = held_folder
    before = sorted(folder.iterdir())
    assert main([command, *WORDS[command].format(tmp=tmp_path).split(), f"output={folder}"]) == 2
    assert f"is in use by train in process {pid} on " in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("command", WORDS)
def test_an_interruption_says_what_is_kept(command: str) -> None:
    assert GO_ON[command].startswith("run the same command again")
