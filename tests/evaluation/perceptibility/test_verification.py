from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from evaluation.perceptibility.page import PAGE_NAME
from evaluation.perceptibility.report import PERCEPTIBILITY_NAME
from evaluation.perceptibility.rows import ROWS_NAME, Row, Rows
from evaluation.perceptibility.verification import verify


@pytest.fixture
def folder(waveform_look: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(waveform_look, tmp_path / "look"))


def test_an_untouched_report_verifies(folder: Path, logmel_look: Path) -> None:
    assert verify(folder) == []
    assert verify(logmel_look) == []


def test_a_changed_number_is_found_with_its_place(folder: Path) -> None:
    report = json.loads((folder / PERCEPTIBILITY_NAME).read_text())
    report["attacks"][0]["ssim_video"]["mean"]["value"] += 0.01
    (folder / PERCEPTIBILITY_NAME).write_text(json.dumps(report))
    problems = verify(folder)
    assert problems[0].startswith("attacks[0].ssim_video.mean.value: the report says ")
    assert problems[1].startswith(f"{PAGE_NAME} says ")


def test_changed_rows_are_found(folder: Path) -> None:
    rows = Rows.read(folder / ROWS_NAME).records()
    rows[0]["ssim_video"] += 0.01
    rows[1] |= {"key": rows[0]["key"], "model_sha256": "12" * 32}
    Rows.from_rows([Row.model_validate(each) for each in rows]).write(folder / ROWS_NAME)
    problems = verify(folder)
    assert problems[0].startswith(f"{ROWS_NAME} has SHA-256 ")
    assert "rows name another model_sha256 than the report's" in problems[1]
    assert problems[2] == "a clip appears more than once under an attack"
    assert any(problem.startswith("attacks[0].ssim_video") for problem in problems)


def test_a_changed_word_of_the_page_is_found(folder: Path) -> None:
    page = folder / PAGE_NAME
    page.write_text(page.read_text().replace("Seen, heard", "Unseen", 1))
    [problem] = verify(folder)
    assert problem.startswith(f"{PAGE_NAME} says '<h1>Unseen")


def test_missing_and_changed_files_are_found(folder: Path) -> None:
    changed, gone = folder / "clips/1/original.flac", folder / "clips/1/adversarial_platform.mp4"
    changed.write_bytes(changed.read_bytes() + b"\0")
    gone.unlink()
    problems = verify(folder)
    assert len(problems) == 2
    assert f"'{gone}' does not exist" in problems
    assert any(problem.startswith("clips/1/original.flac has SHA-256 ") for problem in problems)
    (folder / ROWS_NAME).write_text("no table")
    assert "cannot be read as a table of adversarial clips" in verify(folder)[0]
    (folder / PAGE_NAME).unlink()
    assert verify(folder) == [f"'{folder / PAGE_NAME}' does not exist"]
