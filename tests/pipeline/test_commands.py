from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands import app, main

ROOT = Path(__file__).parents[2]
COMMANDS = ("demo", "preprocess", "inspect", "train", "tune", "evaluate", "verify")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_commands_are_the_promised_ones() -> None:
    assert {command.callback.__name__ for command in app.registered_commands if command.callback} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_each_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"python -m pipeline {command}" in text
    assert "Settings (KEY=VALUE" in text


def test_an_unknown_command_is_the_users_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tarin"]) == 2
    assert "tarin" in capsys.readouterr().err


def test_wrong_settings_are_all_told_with_status_2_and_no_traceback() -> None:
    done = run("train", "pipeline/configs/train/standard.yaml", "output=out", "epocs=3", "batch_size=0")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: 3 problems in 'pipeline/configs/train/standard.yaml' and the command line:",
        "  data: missing; it has no default, so give it in the YAML or as data=...",
        "  batch_size: got 0; allowed: greater than 0",
        "  epocs: unknown setting; the nearest is 'epochs'",
    ]


def test_a_missing_data_set_is_the_users_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ray_session: None
) -> None:
    assert main(["train", f"data={tmp_path / 'nowhere'}", f"output={tmp_path / 'out'}"]) == 2
    assert "is not a finished data set" in capsys.readouterr().err


def test_several_roots_are_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ray_session: None
) -> None:
    """Workers run in another folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    assert main(["preprocess", "dataset.name=folder", "dataset.root=[one, ~/two]", f"output={tmp_path / 'out'}"]) == 2
    assert f"'{tmp_path}/one' is not a folder; '/home/someone/two' is not a folder" in capsys.readouterr().err


def test_a_mistake_of_ours_is_raised_and_ends_in_status_1(tmp_path: Path) -> None:
    """A folder in the place of a report: nothing a user says, and nothing we foresee."""
    (tmp_path / "report.json").mkdir()
    assert run("verify", str(tmp_path)).returncode == 1


def test_verify_says_which_clip_is_not_what_its_video_shows(
    tiny_dataset: Path, tiny_videos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert main(["verify", str(tiny_dataset), f"videos={tiny_videos}", "clips=2"]) == 0
    assert caplog.messages == [f"no problems found in '{tiny_dataset}'"]
    assert main(["verify", str(tiny_dataset), f"videos={tmp_path}", "clips=1"]) == 1
    assert "missing_file" in caplog.messages[-1]


def test_a_report_has_no_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "report.json").write_text("{}")
    assert main(["verify", str(tmp_path), f"videos={tmp_path}"]) == 2
    assert f"videos is for data sets, and '{tmp_path}' is a report: leave it out" in capsys.readouterr().err


def test_verify_finds_a_flipped_bit(tiny_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert main(["verify", str(tiny_dataset)]) == 0
    assert caplog.messages == [f"no problems found in '{tiny_dataset}'"]
    copy = tmp_path / "copy"
    for file in tiny_dataset.rglob("*"):
        if file.is_file():
            target = copy / file.relative_to(tiny_dataset)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    shard = copy / json.loads((copy / "dataset.json").read_text())["shards"]["train"][0]["name"]
    broken = bytearray(shard.read_bytes())
    broken[len(broken) // 2] ^= 1
    shard.write_bytes(broken)
    caplog.clear()
    assert main(["verify", str(copy)]) == 1
    assert shard.name in caplog.text


def test_inspect_writes_a_page_and_says_where(
    tiny_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    page = tmp_path / "page.html"
    with caplog.at_level(logging.INFO):
        assert main(["inspect", str(tiny_dataset), f"output={page}", "clips=2", "thresholds.silence_dbfs=-50"]) == 0
    assert page.read_text().startswith("<!doctype html>")
    assert f"wrote '{page}'" in caplog.messages[-1]


def test_inspect_tells_wrong_settings_and_a_wrong_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path), "clip=2"]) == 2
    assert "clip: unknown setting; the nearest is 'clips'" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path)]) == 2
    assert "neither a data set (dataset.json) nor one that is being made (plan.json)" in capsys.readouterr().err


def test_a_folder_of_neither_kind_cannot_be_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path)]) == 2
    assert "neither a data set (dataset.json) nor a report (report.json)" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["verify"], ["preprocess", "dataset.name=folder", "dataset.root=."], ["train"]])
def test_a_password_in_a_url_is_refused_and_not_repeated(
    words: list[str], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    key = {"verify": "", "preprocess": "output=", "train": "data="}[words[0]]
    assert main([*words, f"{key}ftp://user:hush-hush@host/shards"]) == 2
    said = "".join([caplog.text, *capsys.readouterr()])
    assert "credentials must come from the environment" in said
    assert "hush" not in said
