from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.comparison.config import CompareConfig
from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.transfer.config import TransferConfig
from pipeline.settings.load import load
from pipeline.settings.words import file_and_changes, places_and_changes, spelled_out
from preprocessing.errors import SettingsError


def methods(*words: str) -> dict[str, tuple[str, ...]]:
    file, changes = file_and_changes(spelled_out("compare", [*words, "output=out"]))
    return load(CompareConfig, file, changes).methods


def test_a_file_is_a_first_word_without_an_equals_sign() -> None:
    assert file_and_changes(["a.yaml", "b=1"]) == (Path("a.yaml"), ["b=1"])
    assert file_and_changes(["b=1"]) == (None, ["b=1"])
    assert file_and_changes(None) == (None, [])


def test_other_commands_keep_their_words() -> None:
    assert spelled_out("train", ["a.yaml", "b=1"]) == ["a.yaml", "b=1"]


def test_folders_are_methods_by_their_last_part_or_their_name() -> None:
    assert methods("runs/a", "mine=runs/b", "seeds=c,d/e") == {
        "a": ("runs/a",),
        "mine": ("runs/b",),
        "seeds": ("c", "d/e"),
    }


def test_names_may_hold_anything_but_an_equals_sign() -> None:
    given = methods("a.b 'c': {ü}%_\n=x", "methods_2=y")
    assert given == {"a.b 'c': {ü}%_\n": ("x",), "methods_2": ("y",)}


def test_a_yaml_file_holds_methods_too_and_words_add_to_them(tmp_path: Path) -> None:
    file = tmp_path / "compare.yaml"
    file.write_text("methods:\n  one: runs/one\n  two: [runs/two, runs/three]\n")
    assert methods(str(file)) == {"one": ("runs/one",), "two": ("runs/two", "runs/three")}
    assert list(methods(str(file), "runs/four")) == ["one", "two", "four"]


def test_folders_of_transfer_are_checkpoints_and_those_with_a_name_models() -> None:
    """Beside settings of the same command, also of a model among them."""
    words = ["runs/a", "b=runs/b", "data=d", "output=o", "runs/c", "models.e.model=m:f"]
    config = load(TransferConfig, *file_and_changes(spelled_out("transfer", words)))
    assert config.checkpoint == ("runs/a", "runs/c")
    assert {name: each.checkpoint or each.model for name, each in config.models.items()} == {"b": "runs/b", "e": "m:f"}


def test_two_folders_of_one_name_are_refused_with_a_way_out() -> None:
    with pytest.raises(SettingsError, match="'one/report' and 'two/report' are both 'report': name them, NAME=DIR"):
        spelled_out("compare", ["one/report", "two/report"])
    with pytest.raises(SettingsError, match="'one' and 'two' are both 'x': name them, NAME=DIR"):
        spelled_out("transfer", ["x=one", "x=two"])


def test_a_folder_is_the_evaluation_that_is_looked_at() -> None:
    words = spelled_out("perceptibility", ["looks.yaml", "runs/a 'b': {ü}", "output=out"])
    file, changes = file_and_changes(words)
    assert file == Path("looks.yaml")
    config = load(PerceptibilityConfig, None, changes)
    assert (config.evaluation, config.output) == ("runs/a 'b': {ü}", "out")


def test_two_evaluations_are_refused() -> None:
    with pytest.raises(SettingsError, match="'one' and 'two' are two evaluations: look at one at a time"):
        spelled_out("perceptibility", ["one", "output=out", "two"])


def test_videos_and_settings_may_come_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is there and a URL may hold an equals sign; a key that is none of either is a setting."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "take=1.mp4").touch()
    words = ["a.mp4", "top=1", "take=1.mp4", "s3://bucket/day=1/a.mp4", "rules.missing_tail=pad", "tpo=1"]
    places, changes = places_and_changes(words)
    assert places == ["a.mp4", "take=1.mp4", "s3://bucket/day=1/a.mp4"]
    assert changes == ["top=1", "rules.missing_tail=pad", "tpo=1"]
    assert places_and_changes(None) == ([], [])
