"""Names in what strangers share come to the terminal through commands: spelled, and never raw."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline.commands import main
from pipeline.endings import tell_fault

NAME = "../\x1b[2J\x1b]0;x\x07\u202e\n12:00:00 INFO no problems found"


@pytest.fixture
def root(tiny_dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_dataset, tmp_path / "it"))


def harmless(text: str) -> bool:
    return all(sign.isprintable() or sign == "\n" for sign in text)


def test_a_mistake_tells_a_hostile_name_without_obeying_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = json.loads((root / "dataset.json").read_text())
    index["shards"]["train"][0]["name"] = NAME
    (root / "dataset.json").write_text(json.dumps(index))
    for words in (["inspect", str(root)], ["inspect", str(root), "--traceback"]):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "shards.train.0.name" in said
        assert "x1b[2J" in said
        assert harmless(said)


def test_classes_of_strangers_do_nothing_on_the_page_of_a_data_set(root: Path, tmp_path: Path) -> None:
    """The class is told by the index, and by every clip's own record, which stays as it was."""
    name = "<img src=x onerror=alert(1)>\x1b[2J\u202e"
    index = json.loads((root / "dataset.json").read_text())
    index["classes"][0] = name
    (root / "dataset.json").write_text(json.dumps(index))
    assert main(["inspect", str(root), f"output={tmp_path / 'page.html'}"]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "&lt;img src=x onerror=alert(1)&gt;\\x1b[2J\\u202e" in page
    assert "<img src=x" not in page
    assert harmless(page)


def test_a_fault_tells_it_in_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise RuntimeError(NAME)
    except RuntimeError as error:
        tell_fault(type(error), error, error.__traceback__)
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "\\x1b[2J" in said
    assert harmless(said)
