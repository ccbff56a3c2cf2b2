from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main, show
from benchmarks.row import Row, as_json


@pytest.mark.parametrize(
    ("ratio", "aim", "is_met"),
    [
        (1.0, "1.05 or less", True),
        (1.1, "1.05 or less", False),
        (0.9, "0.85 or more", True),
        (0.8, "0.85 or more", False),
    ],
)
def test_a_ratio_is_compared_with_its_aim(ratio: float, aim: str, is_met: bool) -> None:
    assert Row("x", ratio, aim).is_met is is_met


def test_an_aim_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="the aim of 'x' is 'fast'"):
        _ = Row("x", 1.0, "fast").is_met


def test_a_row_is_written_with_its_machine_and_shown() -> None:
    row = Row("attack_step_vs_passes", 1.02, "1.05 or less", {"attack_seconds": 0.2})
    written = json.loads(json.dumps(as_json(row)))
    assert set(written) == {"name", "ratio", "aim", "detail"}
    assert set(written["detail"]) == {"attack_seconds", "machine"}
    show([row])


def test_an_unknown_benchmark_is_the_users_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["atacks"]) == 2
    assert not list(tmp_path.iterdir())


def test_a_row_without_a_number_says_why_and_is_not_met(capsys: pytest.CaptureFixture[str]) -> None:
    row = Row("two_workers", "not measured: here is one core", "1.8 or more")
    assert not row.is_met
    assert json.loads(json.dumps(as_json(row)))["ratio"] == "not measured: here is one core"
    show([row])
    assert "not" in capsys.readouterr().out
