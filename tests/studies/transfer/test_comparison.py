from __future__ import annotations

import json
from pathlib import Path

import pytest

from studies.transfer.attacks import BASELINE, by_size, contenders
from studies.transfer.comparison import main
from tests.studies.transfer.archives import write_archives


@pytest.mark.slow
def test_the_whole_comparison_writes_a_row_per_attack_and_a_picture(tmp_path: Path) -> None:
    words = settings(tmp_path, "contenders")
    assert main(words) == 0
    rows = json.loads((tmp_path / "transfer.json").read_text())
    aims = ["preset_over_mi", "preset_over_best_peer", "other_moments_over_best_peer"]
    assert [row["name"] for row in rows] == [*aims, *(f"transfer of {name}, squares" for name in contenders())]
    for row in rows[3:]:
        assert all(0.0 <= row["detail"][kind]["rate"] <= 1.0 for kind in ("white-box", "transfer", "other moments"))
    usual = next(row for row in rows if row["name"] == f"transfer of {BASELINE}, squares")
    assert usual["detail"]["transfer"]["difference"]["interval"] == [0.0, 0.0]
    assert usual["detail"]["accuracies"]["plain"] > 0.6, "the models learned nothing, so nothing was measured"
    assert (tmp_path / "transfer.png").read_bytes().startswith(b"\x89PNG")
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "transfer").rglob("*.*")}
    assert main(words) == 0
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "transfer").rglob("*.*")} == kept


@pytest.mark.slow
def test_kernels_and_strengths_are_compared_on_the_clips_to_choose_by(tmp_path: Path) -> None:
    assert main([*settings(tmp_path, "by_size"), "part=choose"]) == 0
    rows = json.loads((tmp_path / "transfer.json").read_text())
    assert [row["name"] for row in rows] == [f"transfer of {name}, squares" for name in by_size()]


def test_an_unknown_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "clips.npz").write_bytes(b"nothing")
    bed = f"{{path: {tmp_path / 'clips.npz'}, train: {tmp_path / 'clips.npz'}}}"
    assert main([f"beds=[{bed}]", f"output={tmp_path}", "processes=1"]) == 2
    assert "clips.npz' is not an archive with v, a and y" in capsys.readouterr().err


def test_beds_of_one_name_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["beds=[{path: a/dataset}, {path: b/dataset}]"]) == 2
    assert "dataset is the name of more than one; give each a name of its own" in capsys.readouterr().err


def settings(folder: Path, attacks: str) -> list[str]:
    write_archives(folder)
    bed = ", ".join(
        f"{key}: {value}"
        for key, value in {
            "path": folder / "report.npz",
            "train": folder / "train.npz",
            "choose": folder / "choose.npz",
            "name": "squares",
            "epochs": 6,
        }.items()
    )
    return [
        f"beds=[{{{bed}}}]",
        f"output={folder}",
        f"attacks={attacks}",
        "seeds=[0]",
        "architectures=[plain, temporal, conv3d]",
        "num_clips=12",
        "processes=1",
    ]
