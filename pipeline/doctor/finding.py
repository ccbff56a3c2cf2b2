"""The result of one check on one machine, and the table of them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from preprocessing.errors import UserError
from preprocessing.reporting.table import FoldedTable
from preprocessing.reporting.terminal import plain, printable

State = Literal["ok", "warning", "problem"]
STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "problem": "bold red"}
NODES_NAMED = 3
"""Nodes with the same finding that are named one by one; of more, how many they are."""


@dataclass(frozen=True)
class Finding:
    """The result of one check on one machine."""

    name: str
    """The check."""
    state: State
    said: str
    """The result in words."""
    remedy: str = ""
    """Advice for the user; empty where there is nothing to do."""
    node: str = ""
    """The machine; empty for what concerns the whole cluster, or where there is only this one."""

    def on(self, node: str) -> Finding:
        """The same finding on the machine of this name."""
        return replace(self, node=node)


def ok(name: str, said: str) -> Finding:
    """All is well."""
    return Finding(name, "ok", said)


def warning(name: str, said: str, remedy: str) -> Finding:
    """The work can be done, but slowly or not all of it."""
    return Finding(name, "warning", said, remedy)


def problem(name: str, said: str, remedy: str) -> Finding:
    """Some work cannot be done."""
    return Finding(name, "problem", said, remedy)


def mistake(name: str, error: UserError) -> Finding:
    """A problem that is told as a user's mistake: what is wrong; what to do about it."""
    said, has_remedy, remedy = str(error).rpartition("; ")
    return problem(name, said, remedy) if has_remedy else problem(name, remedy, "")


def table(findings: Sequence[Finding]) -> Table:
    """A row per finding, in the order of the checks; nodes with the same finding share one."""
    shared: dict[Finding, list[str]] = {}
    for finding in findings:
        shared.setdefault(finding.on(""), []).append(finding.node)
    names = list(dict.fromkeys(finding.name for finding in findings))
    has_nodes = any(finding.node for finding in findings)
    drawn = FoldedTable(box=SIMPLE)
    for heading in ("check", *(["node"] if has_nodes else []), "state", "found, and what to do"):
        drawn.add_column(heading)
    for finding, nodes in sorted(shared.items(), key=lambda item: names.index(item[0].name)):
        node = [_listed(nodes)] if has_nodes else []
        said = plain(finding.said)
        if finding.remedy:
            said.append(f"\n-> {printable(finding.remedy)}", style="bold")
        drawn.add_row(finding.name, *node, Text(finding.state, style=STYLES[finding.state]), said)
    return drawn


def show(findings: Sequence[Finding]) -> None:
    """Print the table, and in one line how it stands."""
    console = Console()
    console.print(table(findings))
    counts = Counter(finding.state for finding in findings)
    console.print(f"problems: {counts['problem']}, warnings: {counts['warning']}, in order: {counts['ok']}")


def _listed(nodes: Sequence[str]) -> str:
    more = [f"and {len(nodes) - NODES_NAMED} more"] if len(nodes) > NODES_NAMED else []
    return ", ".join([*nodes[:NODES_NAMED], *more])
