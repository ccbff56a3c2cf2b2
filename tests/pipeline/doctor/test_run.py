from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands import main
from pipeline.doctor.run import clocks, differing_versions
from pipeline.ports import free_port

ROOT = Path(__file__).parents[3]
ALONE = """
import sys
from pipeline.commands import main
status = main(sys.argv[1:])
assert "ray" not in sys.modules, "Ray was imported"
sys.exit(status)
"""


def test_without_a_cluster_this_machine_alone_is_looked_at_and_no_ray_imported(tmp_path: Path) -> None:
    words = ["doctor", f"output={tmp_path / 'out'}", "data=/none"]
    done = subprocess.run([sys.executable, "-c", ALONE, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "'/none' has no dataset.json" in " ".join(done.stdout.split())
    assert "problems: 1, warnings: " in done.stdout
    for name in ("Python", "libraries", "codecs", "decoder sandbox", "shared memory", "MLflow", "open files"):
        assert name in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_ray_that_does_not_answer_is_a_problem_beside_the_others() -> None:
    code = f"import os, sys; os.environ['RAY_ADDRESS'] = '127.0.0.1:{free_port()}'\n"
    code += "from pipeline.commands import main; sys.exit(main(['doctor']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    said = " ".join(done.stdout.split())
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no Ray answers there" in said
    assert "-> start one with `ray start --head`" in said
    assert "codecs" in said


def test_an_unknown_setting_is_the_users_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "outptu=/x"]) == 2
    assert "outptu: unknown setting; the nearest is 'output'" in capsys.readouterr().err


SAME = {"python": "3.11.7", "ray": "2.60.0", "numpy": "2.4.0", "robust-audio-visual": "0.1.0"}


def test_equal_nodes_are_in_order() -> None:
    assert differing_versions({}) == []  # no node has answered, which is told by itself
    [found] = differing_versions({"a": SAME, "b": dict(SAME)})
    assert found.state == "ok"


@pytest.mark.parametrize(
    ("change", "state", "said"),
    [
        ({"ray": "2.59.0"}, "problem", "ray 2.59.0 (on a: 2.60.0)"),
        ({"python": "3.11.9"}, "problem", "python 3.11.9 (on a: 3.11.7)"),
        ({"robust-audio-visual": "0.2.0"}, "problem", "robust-audio-visual 0.2.0 (on a: 0.1.0)"),
        ({"numpy": "2.3.0"}, "warning", "numpy 2.3.0 (on a: 2.4.0)"),
        ({"torch": "2.14.1"}, "warning", "torch 2.14.1 (on a: none)"),
    ],
)
def test_a_node_with_other_versions_is_named(change: dict[str, str], state: str, said: str) -> None:
    [found] = differing_versions({"a": SAME, "b": SAME, "c": SAME | change})
    assert (found.node, found.state, found.said) == ("c", state, said)


def test_a_clock_is_judged_by_the_time_between_question_and_answer() -> None:
    """Asked at 1000 s, all answered at 1001 s: 1004 s is 3 s ahead, 900 s is 100 s behind."""
    assert [found.state for found in clocks(1000.0, {"a": 1000.5, "b": 1002.5}, 1001.0)] == ["ok"]
    ahead, behind = clocks(1000.0, {"a": 1000.5, "b": 1004.0, "c": 900.0}, 1001.0)
    assert (ahead.node, ahead.state, ahead.said) == ("b", "warning", "3 s ahead of the machine that asks")
    assert (behind.node, behind.state, behind.said) == ("c", "problem", "100 s behind the machine that asks")
