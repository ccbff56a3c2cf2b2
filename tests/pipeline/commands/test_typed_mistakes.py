"""Mistakes in what is typed: told at once, all in one round, before anything is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands import main

ROOT = Path(__file__).parents[3]


def test_a_missing_folder_is_told_with_the_other_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", f"data={tmp_path}/none", "output=out", "epocs=3"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: 2 problems in the command line:",
        "  epocs: unknown setting; the nearest is 'epochs'",
        f"  data: '{tmp_path}/none' does not exist (the current folder is '{Path.cwd()}')",
    ]


def test_settings_with_dashes_are_told_as_they_are_meant(capsys: pytest.CaptureFixture[str]) -> None:
    """Options stay options; all at once; the value may follow in either way."""
    words = ["--epochs", "5", "--batch-size=8", "--optimizer.name", "--tracking", "off", "data=x"]
    assert main(["train", *words]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: settings have no dashes:",
        "  --epochs 5: write epochs=5",
        "  --batch-size=8: write batch_size=8",
        "  --optimizer.name: write optimizer.name=...",
    ]


def test_a_yaml_file_after_a_setting_is_told_with_the_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "epochs=5", "mine.yaml", "data=x", "output=y"]) == 2
    said = capsys.readouterr().err
    assert "mine.yaml: a YAML file stands first and there is one of them: mine.yaml KEY=VALUE ..." in said


def test_mistakes_about_places_are_all_told_before_ray_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    script = (
        "import sys, ray; from pipeline.commands import main;"
        "ray.init = lambda *args, **options: sys.exit('Ray was started');"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = ["train", f"data={tmp_path}/none", f"output={tmp_path}/file", f"model.weights={tmp_path}/gone"]
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2, done.stderr
    first, *others = (line for line in done.stderr.splitlines() if " INFO " not in line)
    assert first == "error: 3 problems:"
    for problem, said in zip(
        others, (f"output='{tmp_path}/file'", f"'{tmp_path}/none' does not", "gone' is not a"), strict=True
    ):
        assert said in problem
