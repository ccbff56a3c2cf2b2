from __future__ import annotations

import pytest

from evaluation.comparison.config import CompareConfig
from pipeline.settings.load import load
from pipeline.settings.problems import ConfigError


def test_folders_are_parted_by_commas_or_listed() -> None:
    config = load(CompareConfig, changes=["methods={a: 'x', b: 'y,z', c: [u, v]}", "output=out"])
    assert config.methods == {"a": ("x",), "b": ("y", "z"), "c": ("u", "v")}


def test_one_method_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match="got 1; at least two are needed"):
        load(CompareConfig, changes=["methods={a: x}", "output=out"])


@pytest.mark.parametrize("methods", ["{a: x, b: ''}", "{a: x, b: 'y,'}", "{a: x, ' ': y}", "{a: x, b: []}"])
def test_a_name_or_folder_that_is_missing_is_refused(methods: str) -> None:
    with pytest.raises(ConfigError, match="has no name or an empty folder"):
        load(CompareConfig, changes=[f"methods={methods}", "output=out"])
