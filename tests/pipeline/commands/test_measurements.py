"""The command `perceptibility`, from its words to a folder that `verify` believes."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from evaluation.run import evaluate
from pipeline.commands import main
from tests.evaluation.evaluations import settings, trained_checkpoint

REFUSED = {
    "output={tmp}/out": "evaluation: missing",
    "{tmp}/bad output={tmp}/out": "holds no finished evaluation",
    "{tmp}/bad {tmp} output={tmp}/out": "are two evaluations: look at one at a time",
    "{tmp}/bad output={tmp}/file": "'{tmp}/file' is none",
    "{tmp}/bad output={tmp}/out aac_kbps=[]": "aac_kbps: ",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_looked_at_is_told_and_leaves_nothing_behind(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "bad").mkdir()
    assert main(["perceptibility", *words.format(tmp=tmp_path).split()]) == 2
    assert REFUSED[words].format(tmp=tmp_path) in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "file"]


def test_an_evaluation_is_looked_at_and_the_look_verified(
    tiny_dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checkpoint = trained_checkpoint(tiny_dataset, tmp_path / "checkpoint")
    changes = {"stored_perturbations": 2, "limit": 4, "curve": (1.0,), "workers": 1}
    evaluate(settings(checkpoint, tiny_dataset, tmp_path / "report", **changes))
    monkeypatch.chdir(tmp_path)
    words = ["report", "output=look", "clips=1", "enlarge=1", "jpeg_qualities=[50]", "--tracking", "off"]
    assert main(["perceptibility", *words]) == 0
    printed = capsys.readouterr().out
    assert "2 clips under linf(" in printed
    assert "jpeg_50" in printed
    report = json.loads((tmp_path / "look" / "perceptibility.json").read_text())
    assert report["config"]["evaluation"] == str(tmp_path / "report")
    with caplog.at_level(logging.INFO):
        assert main(["verify", "look"]) == 0
    assert caplog.messages[-1] == "no problems found in 'look'"
    (tmp_path / "look" / "perceptibility.html").write_text("another page")
    assert main(["verify", "look"]) == 1
    assert main(["verify", "look", f"checkpoint={checkpoint}"]) == 2
    assert "checkpoint, data and model are for report.json" in capsys.readouterr().err
