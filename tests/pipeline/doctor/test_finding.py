from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from pipeline.doctor.finding import Finding, mistake, ok, problem, table, warning
from preprocessing.errors import ResourceError

FINDINGS = [
    ok("Python", "3.11.7").on("node-a"),
    problem("disk", "0.1 GiB are free at '/data[1]'", "free some space").on("node-a"),
    warning("memory", "1 of 2 GiB are free", "set workers=1").on("node-b"),
    ok("Python", "3.11.7").on("node-b"),
]


def drawn(findings: list[Finding], width: int) -> str:
    text = io.StringIO()
    Console(file=text, width=width).print(table(findings))
    return text.getvalue()


def test_nodes_with_the_same_finding_share_a_row_in_the_order_of_the_checks() -> None:
    lines = [line.split() for line in drawn(FINDINGS, 120).splitlines() if line.strip()]
    assert [line[0] for line in lines if line[0] in ("Python", "disk", "memory")] == ["Python", "disk", "memory"]
    assert ["Python", "node-a,", "node-b", "ok", "3.11.7"] in lines


def test_brackets_are_told_as_they_are_and_a_remedy_stands_below() -> None:
    text = drawn(FINDINGS, 120)
    assert "at '/data[1]'" in text
    assert "-> free some space" in text


@pytest.mark.parametrize("width", [45, 60])
def test_a_narrow_terminal_wraps_and_cuts_nothing(width: int) -> None:
    text = drawn(FINDINGS, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    letters = "".join(text.split())
    assert all(word in letters for word in ("workers=1", "3.11.7"))


def test_one_machine_alone_has_no_column_of_nodes() -> None:
    alone = [replace(finding, node="") for finding in FINDINGS]
    assert "node" not in drawn(alone, 120)


def test_of_many_nodes_some_are_named() -> None:
    text = " ".join(drawn([ok("Ray", "2.60.0").on(f"n{number}") for number in range(9)], 120).split())
    assert "n0, n1, n2, and 6 more" in text


def test_a_users_mistake_is_told_with_its_remedy_apart() -> None:
    assert mistake("Ray", ResourceError("no Ray answers; start one")) == problem("Ray", "no Ray answers", "start one")
    assert mistake("Ray", ResourceError("no Ray answers")) == problem("Ray", "no Ray answers", "")
