"""Versions of libraries, told by real distribution folders on the path."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.doctor.libraries import constraints, installed, libraries, python, required

ROOT = Path(__file__).parents[3]


def install(folder: Path, name: str, version: str, *more: str) -> None:
    """Lay down what pip leaves of a distribution."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *more]))


def test_a_clone_asks_for_what_its_project_file_says() -> None:
    allowed, requirements = required()
    assert allowed == ">=3.11"
    assert any(each.startswith("ray[default,train,tune]==") for each in requirements)
    pinned = re.search(r"^numpy==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned
    assert constraints()["numpy"] == pinned[1]


def test_an_installed_copy_asks_for_what_its_metadata_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = ["Requires-Python: >=3.12", "Requires-Dist: numpy>=2.2", 'Requires-Dist: s3fs>=2026.9; extra == "s3"']
    install(tmp_path, "robust-audio-visual", "0.1.0", *more)
    monkeypatch.syspath_prepend(tmp_path)
    allowed, requirements = required(tmp_path)
    assert allowed == ">=3.12"
    assert requirements == ["numpy>=2.2", 's3fs>=2026.9; extra == "s3"']
    assert constraints(tmp_path) == {}
    found = libraries(['no-such-library>=1; extra == "s3"'], {})
    assert found.state == "ok"


def test_a_library_that_is_too_old_or_missing_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert libraries(["numpy>=2.2"], {}).state == "ok"
    install(tmp_path, "numpy", "0.0.1")
    monkeypatch.syspath_prepend(tmp_path)
    assert installed("numpy") == "0.0.1"
    found = libraries(["numpy>=2.2", "no-such-library>=1"], {})
    assert found.state == "problem"
    assert found.said == "numpy 0.0.1, wanted >=2.2; no-such-library is missing"
    assert "constraints.txt" in found.remedy


def test_another_version_than_the_tested_one_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "made-up", "1.2+cpu")
    monkeypatch.syspath_prepend(tmp_path)
    assert libraries(["made_up>=1"], {"made-up": "1.2"}).state == "ok"
    found = libraries(["made_up>=1"], {"made-up": "1.3"})
    assert found.state == "warning"
    assert "made_up 1.2+cpu, tested 1.3" in found.said


def test_pythons_that_are_too_old_are_a_problem() -> None:
    assert python(">=3.11").state == "ok"
    assert python(">=3.11", "3.10.14").said == "3.10.14; allowed: >=3.11"
    assert python(">=3.11", "3.10.14").state == "problem"
