"""The commands that put a classifier to use: what they print, write and refuse, with which status."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pipeline.commands import main
from tests.small_checkpoint import write_checkpoint
from tests.tiny_video import TINY_CLASSES, write_tiny_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, a video of 3 s, one without sound and a text."""
    folder = tmp_path_factory.mktemp("commands")
    write_checkpoint(folder / "checkpoint")
    (folder / "videos").mkdir()
    write_tiny_video(folder / "videos" / "long.mp4", label=0, seed=0, seconds=3.0)
    write_tiny_video(folder / "videos" / "silent.mp4", label=0, seed=0, has_sound=False)
    (folder / "text.mp4").write_text("no video")
    return folder


def test_predict_prints_a_line_per_video_and_goes_on_after_a_bad_one(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    table = folder / "found.csv"
    assert main(["predict", str(folder / "checkpoint"), str(folder / "videos"), "top=1", f"output={table}"]) == 0
    seen, silent = capsys.readouterr().out.splitlines()
    assert seen.startswith(f"{folder}/videos/long.mp4: ")
    assert seen.endswith(" % (2 windows)")
    assert silent == f"{folder}/videos/silent.mp4: no prediction: no_audio: the file has no audio stream"
    assert "1 of 2 videos could not be classified" in caplog.text
    first, second = csv.DictReader(table.read_text().splitlines())
    assert first["class"] in TINY_CLASSES
    assert second["reason"] == "no_audio"


def test_predict_by_time_prints_the_windows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = str(folder / "videos" / "long.mp4")
    assert main(["predict", str(folder / "checkpoint"), video, "by_time=true"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[: len("  0.00 to 2.00 s")] for line in lines[1:]] == ["  0.00 to 2.00 s", "  1.00 to 3.00 s"]


def test_predict_ends_with_status_2_where_nothing_could_be_classified(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(folder / "checkpoint"), str(folder / "text.mp4"), str(folder / "none.mp4")]) == 2
    said = capsys.readouterr()
    assert [line.split(": ")[2] for line in said.out.splitlines()] == ["not_media", "missing_file"]
    assert said.err == "error: none of 2 videos could be classified; the lines above say why\n"


REFUSED = {
    "predict {folder}/checkpoint": "there is no video to classify",
    "predict {folder} {folder}/videos": "'{folder}/checkpoint' is one",
    "predict {folder}/checkpoint {folder}/videos outptu=x.csv": "outptu: unknown setting; the nearest is 'output'",
    "predict {folder}/checkpoint {folder}/videos output=/proc/x.csv": "output='/proc' cannot be written",
    "export {folder}/checkpoint": "output: missing",
    "export {folder}/checkpoint output={folder}/x.onnx": "ONNX needs the packages onnx and onnxscript",
    "export {folder}/checkpoint output={folder}/x.pt2 data={folder}/videos": "is not a finished data set",
    "export {folder} output={folder}/x.pt2": "is not a checkpoint",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_work_is_told_with_status_2(words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder.rglob("*"))
    assert main(words.format(folder=folder).split()) == 2
    assert REFUSED[words].format(folder=folder) in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_export_says_what_it_wrote(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert main(["export", str(folder / "checkpoint"), f"output={tmp_path / 'model.pt2'}"]) == 0
    assert f"wrote '{tmp_path}/model.pt2': on 8 clips of noise" in caplog.text
