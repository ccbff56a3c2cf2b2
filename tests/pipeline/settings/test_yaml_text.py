"""YAML as people write it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings.problems import ConfigError
from pipeline.settings.yaml_text import one_line, parse, read_yaml, to_yaml


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("-2.5E4", -2.5e4), (".5e1", 5.0), ("1e", "1e")])
def test_a_number_with_an_exponent_is_one_without_a_point_too(text: str, value: object) -> None:
    """YAML 1.1 takes `1e-3` for text."""
    assert parse(text) == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_what_is_written_reads_back(value: object) -> None:
    assert parse(to_yaml(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1e-3", "'1e-3'"),
        ((1, 2.5), "[1, 2.5]"),
        (None, "null"),
        (Path("runs/out"), "runs/out"),
        ({"name": "pgd", "steps": 3}, "{name: pgd, steps: 3}"),
        ("ünïcødé", "ünïcødé"),
    ],
)
def test_a_value_is_one_line_as_it_is_typed(value: object, text: str) -> None:
    assert one_line(value) == text


def test_a_file_of_the_package_is_found_from_any_folder_unless_it_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = Path("pipeline/configs/preprocess/folder.yaml")
    monkeypatch.chdir(tmp_path)
    assert read_yaml(name)["dataset"]["name"] == "folder"
    name.parent.mkdir(parents=True)
    name.write_text("seed: 3\n")
    assert read_yaml(name) == {"seed": 3}


def test_an_empty_file_holds_no_settings(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_yaml(tmp_path / "empty.yaml") == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: 2\na: 3\n", "the key 'a' is given twice"),
        (b"- a\n", "holds a list; allowed: `key: value` lines"),
        (b"a: [", "cannot be read as YAML"),
        (b"a: \xff", "cannot be read as YAML"),
        (None, "the file does not exist"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused_by_name(content: bytes | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_yaml(file)
    assert str(file) in str(caught.value)
