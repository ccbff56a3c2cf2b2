from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from pipeline.commands import main
from pipeline.demo import CONFIGS
from pipeline.settings.help import CONFIG_CLASSES, config_class_of
from pipeline.settings.load import load
from pipeline.settings.resolved import resolved

GIVEN = {
    "preprocess": ["dataset.root=videos", "output=out"],
    "train": ["data=data", "output=out"],
    "tune": ["data=data", "output=out"],
    "evaluate": ["data=data", "output=out"],
    "corruptions": ["data=data", "output=out", "checkpoint=model"],
    "transfer": ["data=data", "output=out"],
    "compare": ["output=out"],
    "perceptibility": ["evaluation=report", "output=out"],
    "export": ["output=model.pt2"],
}
FILES = sorted(CONFIGS.glob("*/*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_the_settings_of_every_shipped_file_load_back(file: Path, tmp_path: Path) -> None:
    command = file.parent.name
    config_class = config_class_of(command)
    text = resolved(command, config_class, file, GIVEN[command])
    (tmp_path / "resolved.yaml").write_text(text)
    assert load(config_class, tmp_path / "resolved.yaml") == load(config_class, file, GIVEN[command])


@pytest.mark.parametrize("command", CONFIG_CLASSES)
def test_what_must_be_given_stands_as_a_comment(command: str, tmp_path: Path) -> None:
    """Text that loads back once the same words are given."""
    words = {
        "preprocess": ["dataset.name=folder"],
        "compare": ["methods={one: runs/a, two: 'runs/b,runs/c'}"],
        "transfer": ["models={one: runs/a, two: runs/b}"],
        "tune": ["space={optimizer.warmup: {name: uniform, low: 0, high: 0.5}}"],
    }
    config_class = config_class_of(command)
    text = resolved(command, config_class, None, words.get(command, []))
    (tmp_path / "resolved.yaml").write_text(text)
    given = GIVEN.get(command, [])
    assert load(config_class, tmp_path / "resolved.yaml", given) == load(
        config_class, None, [*words.get(command, []), *given]
    )
    assert all(f"# {word.partition('=')[0].rpartition('.')[2]}:" in text for word in given)


def origin_of(text: str, line: str) -> str:
    """The origin that the comment above a line tells."""
    lines = [each.strip() for each in text.splitlines()]
    above = itertools.takewhile(lambda each: each.startswith("#"), reversed(lines[: lines.index(line)]))
    return " ".join(each.removeprefix("# ") for each in reversed(list(above))).rpartition("[")[2].rstrip("]")


def test_every_value_says_where_it_comes_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "train.yaml"
    file.write_text("data: here\nepochs: 7\nobjective: {name: pgd_at, label_smoothing: 0.125}\nmodel: AcR\n")
    words = ["output='1e3'", "optimizer.learning_rate=1e-5", "objective.name=standard", "seed=3"]
    assert main(["settings", "train", str(file), *words]) == 0
    text = capsys.readouterr().out
    assert origin_of(text, "data: here") == "file"
    assert origin_of(text, "output: '1e3'") == "command line"
    assert origin_of(text, "epochs: 7") == "file"
    assert origin_of(text, "fusion: concat") == "file"
    assert origin_of(text, "learning_rate: 1.0e-05") == "command line"
    assert origin_of(text, "name: standard") == "command line"
    assert origin_of(text, "label_smoothing: 0.0") == "default"
    assert origin_of(text, "batch_size: 64") == "default"


def test_a_command_without_settings_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "settings"]) == 2
    assert "'settings' has no settings; allowed: demo, preprocess" in capsys.readouterr().err


def test_wrong_settings_are_told_as_the_command_would(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "train", "no=such", "data=d", "output=o"]) == 2
    assert "no: unknown setting" in capsys.readouterr().err


def test_a_mapping_of_plain_values_comes_from_where_its_entries_do() -> None:
    words = ["methods={one: runs/a, two: 'runs/b,runs/c'}", "output=out"]
    text = resolved("compare", config_class_of("compare"), None, words)
    assert origin_of(text, "methods: {one: [runs/a], two: [runs/b, runs/c]}") == "command line"
