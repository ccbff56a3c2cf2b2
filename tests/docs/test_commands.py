"""The commands on README and the pages: each would start, with settings that exist."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from docs.generator.commands import commands_by_name
from docs.generator.sources import configs, source
from pipeline.settings.load import load
from pipeline.settings.words import places_and_changes, spelled_out
from preprocessing.settings import Settings
from tests.docs.pages import ALL, ROOT, name_of, pipeline_commands, shell_lines
from training.config import TrainConfig

STUDIES = {"studies.training": "studies.training.comparison", "studies.transfer": "studies.transfer.comparison"}
"""Each with the module that holds its settings."""
STARTS = {"make", "python", "robust-av", "ruff", "mypy", "lint-imports", "pre-commit", "pip", "ray", "mlflow", "py-spy"}
STARTS |= {"ps", "source", "export", "case", "docker"}
"""What a line of a shell block may begin with."""
ARGUMENTS = {"num_steps", "weights_only", "aresample", "epocs"}
"""Of functions, not settings; and the mistake that a page makes on purpose."""
IN_TEXT = re.compile(r"`((?:[a-z_]+\.)*[a-z_]+=[^`\s]+)`")

COMMANDS = [(page, words) for page in ALL for words in pipeline_commands(page)]
LINES = [(page, line) for page in ALL for line in shell_lines(page)]


def told(case: object) -> str:
    if isinstance(case, Path):
        return name_of(case)
    return " ".join(case) if isinstance(case, list) else str(case)


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=told)
def test_every_command_of_the_pipeline_parses(
    page: Path, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()  # a folder of videos must be there
    command, *rest = (word.replace("=/shared/", "=") for word in words)  # a folder that only clusters have
    if command == "settings":
        command, *rest = rest
    if rest and rest[0] == "--help":
        keys = set(source("keys")(configs()[command]))
        assert set(rest[1:]) <= keys
    elif command in ("inspect", "verify", "export"):  # the first word is a folder
        load(configs()[command], None, rest[1:])
    elif command == "predict":
        places, changes = places_and_changes(rest)
        assert len(places) > 1
        load(configs()[command], None, changes)
    else:
        rest = spelled_out(command, rest)
        file = ROOT / rest.pop(0) if rest and "=" not in rest[0] else None
        if file and not file.is_relative_to(ROOT / "pipeline"):  # one that an earlier command of the page writes
            file = None
        parsed = commands_by_name()[command].make_context(command, rest, resilient_parsing=True).params
        load(configs()[command], file, [word for word in parsed["words"] or () if word != "..."])


def test_every_command_that_a_page_names_is_one() -> None:
    """Commands beside `settings`, which shows those of another."""
    named = {words[0] for _, words in COMMANDS}
    assert named <= set(commands_by_name())
    assert set(configs()) <= named


@pytest.mark.parametrize(("page", "line"), LINES, ids=told)
def test_every_line_for_the_shell_starts_something_that_is_there(page: Path, line: str) -> None:
    for words in parts_of(line):
        assert words[0].removeprefix(".venv/bin/") in STARTS
        match [word.removeprefix(".venv/bin/") for word in words]:
            case ["make", target, *_]:
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
            case ["python", "-m", "benchmarks", *names]:
                assert set(names) <= set(importlib.import_module("benchmarks.__main__").MODULES)
            case ["python", "-m", "pytest", *arguments]:
                assert not missing_paths(arguments)
            case ["python", "-m", module, *changes] if module in STUDIES:
                assert (ROOT / module.replace(".", "/") / "__main__.py").exists()
                load(study_settings(module), changes=changes)


def parts_of(line: str) -> list[list[str]]:
    """The words of each command of a line, without the variables before it."""
    if line.startswith("case "):
        return [["case"]]
    parts = [shlex.split(part) for part in line.split(" && ")]
    return [[word for number, word in enumerate(words) if not is_variable(words, number)] for words in parts]


def is_variable(words: list[str], number: int) -> bool:
    return all(re.match(r"[A-Za-z_]+=", word) for word in words[: number + 1])


def missing_paths(arguments: list[str]) -> list[str]:
    paths = [each.partition("::")[0] for each in arguments if each.startswith("tests/")]
    return [path for path in paths if not (ROOT / path).exists()]


def study_settings(module: str) -> type[Settings]:
    """The settings of a study, which are the only ones that its module defines."""
    defined = vars(importlib.import_module(STUDIES[module])).values()
    [found] = [
        each
        for each in defined
        if isinstance(each, type) and issubclass(each, Settings) and each.__module__ == STUDIES[module]
    ]
    return found


def test_every_training_setting_in_the_text_about_training_methods_is_one() -> None:
    text = (ROOT / "docs" / "how-to" / "training-methods.md").read_text()
    found = IN_TEXT.findall(text)
    assert len(found) > 6
    load(TrainConfig, changes=["data=data", "output=out", *found])


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_a_setting_in_the_text_of_a_page_is_known_to_some_command(page: Path) -> None:
    """Whatever stands as `key=value` between words: a setting of a command, of a class, or of a study."""
    known = {name for each in settings_classes() for name in each.model_fields} | ARGUMENTS
    for word in IN_TEXT.findall(page.read_text()):
        key, _, _ = word.partition("=")
        assert key.rpartition(".")[2] in known, word


def settings_classes() -> list[type[Settings]]:
    found, waiting = [], [Settings]
    for module in STUDIES.values():
        importlib.import_module(module)
    while waiting:
        subclasses = waiting.pop().__subclasses__()
        found += subclasses
        waiting += subclasses
    return found
