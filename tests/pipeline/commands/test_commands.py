from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands import app, main
from pipeline.endings import EXPLANATION, ExitStatus
from pipeline.settings.help import CONFIG_CLASSES, config_class_of

ROOT = Path(__file__).parents[3]
COMMANDS = (
    *("demo", "preprocess", "inspect", "train", "tune", "evaluate", "compare", "corruptions"),
    *("transfer", "perceptibility", "predict", "export", "settings", "verify", "doctor"),
)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_commands_are_the_promised_ones() -> None:
    registered = app.registered_commands
    names = {command.name or command.callback.__name__ for command in registered if command.callback}
    assert names == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_each_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"python -m pipeline {command}" in text
    assert command == "settings" or "Settings (KEY=VALUE" in text
    assert "Exit status: 0 done; 2 a mistake" in text


def test_help_lists_the_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert EXPLANATION in text
    for status in ExitStatus:
        assert f" {status.value} " in EXPLANATION


@pytest.mark.parametrize("command", CONFIG_CLASSES)
def test_help_lists_every_setting_of_the_first_level(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, field in config_class_of(command).model_fields.items():
        assert f"{name} {' '.join((field.description or '').split())}" in text
    assert f"python -m pipeline settings {command}" in text


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"robust-audio-visual \d+\.\d+\.\d+( \(commit [0-9a-f]{7}\))?\n", capsys.readouterr().out)


@pytest.mark.parametrize("words", [["--traceback", "verify"], ["verify", "--traceback"]])
def test_the_traceback_of_a_mistake_is_shown_when_asked_for(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert said.splitlines()[-1].startswith("error: ")


def test_an_unknown_command_is_the_users_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tarin"]) == 2
    assert "tarin" in capsys.readouterr().err


def test_wrong_settings_are_all_told_with_status_2_and_no_traceback() -> None:
    done = run("train", "pipeline/configs/train/standard.yaml", "output=out", "epocs=3", "batch_size=0")
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if " INFO " not in line] == [
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


def test_a_fault_is_raised_whatever_its_line_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `raise` of a plain error is none of the user's: it ends in a traceback and status 1."""

    def stumble(place: str, config: object) -> list[str]:
        raise ValueError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr("pipeline.verification.problems_of", stumble)
    with pytest.raises(ValueError, match="mat1 and mat2"):
        main(["verify", "somewhere"])


def test_a_stream_that_ends_too_early_is_a_fault_and_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(place: str, config: object) -> list[str]:
        raise EOFError

    monkeypatch.setattr("pipeline.verification.problems_of", stumble)
    with pytest.raises(RuntimeError, match="a stream ended too early"):
        main(["verify", "somewhere"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_told_with_status_130(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.verification.problems_of", lambda place, config: signal.raise_signal(number))
    before = signal.getsignal(signal.SIGTERM)
    assert main(["verify", "somewhere"]) == 130
    assert capsys.readouterr().err == "interrupted: run the same command again\n"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def without_validation(tiny_dataset: Path, tmp_path: Path) -> Path:
    """The index of a data set whose validation split is empty."""
    index = json.loads((tiny_dataset / "dataset.json").read_text())
    index["num_clips"]["validation"], index["shards"]["validation"] = 0, []
    folder = tmp_path / "without_validation"
    folder.mkdir()
    (folder / "dataset.json").write_text(json.dumps(index))
    return folder


TRAIN = "train output={tmp}/out model.video_encoder=tiny model.audio_encoder=tiny"
EVALUATE = "evaluate output={tmp}/out checkpoint={tmp}/damaged"
CORRUPTIONS = "corruptions output={tmp}/out checkpoint={tmp}/damaged"
TUNE = "tune {root}/pipeline/configs/tune/demo.yaml output={tmp}/out"
PREPROCESS = "preprocess dataset.name=folder dataset.root={videos} output={tmp}/out"
REFUSED = {
    f"{TRAIN} data={{tmp}}/none": "is not a finished data set",
    f"{TRAIN} data={{empty}}": "has no validation clips",
    f"{TRAIN} data={{data}} batch_size=512": "but there are only 24 training clips",
    f"{TRAIN} data={{data}} workers=3 batch_size=9": "Ray has 2",
    f"{TRAIN} data={{data}} batch_size=8 output={{tmp}}/file": "'{tmp}/file' is none",
    f"{TRAIN} data={{data}} batch_size=8 output={{tmp}}/file/below": "'{tmp}/file' is none",
    f"{TRAIN} data={{data}} batch_size=8 output=/proc/out": "output='/proc/out' cannot be written",
    f"{TRAIN} data={{data}} batch_size=8 model.video_weights={{tmp}}/none.pt": "are no file",
    f"{TRAIN} data={{tmp}}/damaged": "dataset.json' is damaged",
    f"{TRAIN} data={{data}} batch_size=8 output={{tmp}}/bad/out": "mlflow.db' cannot be opened",
    f"{EVALUATE} data={{tmp}}/none": "is not a finished data set",
    f"{EVALUATE} data={{data}}": "format.json' does not describe a checkpoint",
    f"{EVALUATE} data={{data}} checkpoint={{tmp}}/none": "is not a checkpoint",
    f"{EVALUATE} data={{data}} output={{tmp}}/file": "'{tmp}/file' is none",
    f"{CORRUPTIONS} data={{data}}": "format.json' does not describe a checkpoint",
    f"{CORRUPTIONS} data={{data}} output={{tmp}}/file": "'{tmp}/file' is none",
    "transfer {tmp}/damaged x={tmp}/none output={tmp}/out data={data}": "format.json' does not describe a checkpoint",
    f"{TUNE} data={{tmp}}/none": "is not a finished data set",
    f"{TUNE} data={{data}} output={{tmp}}/file/below": "'{tmp}/file' is none",
    f"{TUNE} data={{empty}}": "has no validation clips",
    f"{TUNE} data={{data}} train.batch_size=512": "but there are only 24 training clips",
    "preprocess dataset.name=folder dataset.root={tmp}/none output={tmp}/out": "'{tmp}/none' is not a folder",
    "preprocess dataset.name=folder dataset.root={tmp}/bad output={tmp}/out": "holds no video",
    f"{PREPROCESS} output={{tmp}}/file": "'{tmp}/file' is none",
    f"{PREPROCESS} output=/proc/out": "output='/proc/out' cannot be written",
    "preprocess dataset.name=demo dataset.root={tmp}/file output={tmp}/out": "dataset.root='{tmp}/file' cannot",
    "compare {tmp}/bad output={tmp}/out": "methods: got 1; at least two",
    "compare {tmp}/bad {tmp}/out": "output: missing",
    "compare {tmp}/bad {data} output={tmp}/out": "holds no finished evaluation",
    "compare {tmp}/bad x={data} output={tmp}/file": "'{tmp}/file' is none",
    "compare {tmp}/bad other/bad output={tmp}/out": "are both 'bad': name them, NAME=DIR",
    "inspect {tmp}/none": "neither a data set",
    "inspect {data} output={tmp}/bad": "'{tmp}/bad' is a folder",
    "inspect {data} output={tmp}/file/page.html": "'{tmp}/file' is none",
    "inspect {tmp}/damaged output={tmp}/page.html": "dataset.json' is damaged",
    "demo output={tmp}/file": "'{tmp}/file' is none",
    "verify {tmp}/none": "neither a data set",
    "verify {tmp}/none videos={videos}": "is neither a data set",
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_refused_command_is_told_and_leaves_nothing_behind(
    words: str,
    tiny_dataset: Path,
    tiny_videos: Path,
    without_validation: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"tmp": tmp_path, "data": tiny_dataset, "videos": tiny_videos, "empty": without_validation, "root": ROOT}
    (tmp_path / "file").write_text("mine")
    for name, text in (("damaged/dataset.json", '{"format_version": 2}'), ("damaged/format.json", "{")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "mlflow.db").write_text("no database")
    before = tree(tmp_path), tree(tiny_dataset.parent), tree(tiny_videos.parent)
    given = last_of_each_key(words.format(**places).split())
    assert main(given) == 2
    assert REFUSED[words].format(**places) in capsys.readouterr().err
    assert (tree(tmp_path), tree(tiny_dataset.parent), tree(tiny_videos.parent)) == before


def last_of_each_key(words: list[str]) -> list[str]:
    """A row of the table may give a setting again that its beginning gives: the later one counts."""
    return list({word.partition("=")[0] if "=" in word else word: word for word in words}.values())


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every folder and file below, with the files' content."""
    found = {str(each): each.read_bytes() if each.is_file() else None for each in folder.rglob("*")}
    return {name: content for name, content in found.items() if "__pycache__" not in name}


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
    assert "nor a report (report.json, corruptions.json, transfer.json, perceptibility.json)" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["verify"], ["preprocess", "dataset.name=folder", "dataset.root=."], ["train"]])
def test_a_password_in_a_url_is_refused_and_not_repeated(
    words: list[str], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    key = {"verify": "", "preprocess": "output=", "train": "data="}[words[0]]
    assert main([*words, f"{key}ftp://user:hush-hush@host/shards"]) == 2
    said = "".join([caplog.text, *capsys.readouterr()])
    assert "credentials must come from the environment" in said
    assert "hush" not in said
