from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from preprocessing.reporting.table import FoldedTable

NAME = "a_very_long_name_of_an_attack_without_a_space"


def with_heading() -> FoldedTable:
    table = FoldedTable(title="title")
    table.add_column("attack")
    table.add_column("accuracy", justify="right")
    table.add_row(NAME, "12.5 %")
    return table


def without_heading() -> FoldedTable:
    table = FoldedTable(show_header=False)
    table.add_row(NAME, "12.5 %")
    return table


@pytest.mark.parametrize("make", [with_heading, without_heading])
def test_a_narrow_terminal_shows_every_letter(make: Callable[[], FoldedTable]) -> None:
    shown = io.StringIO()
    Console(file=shown, width=30).print(make())
    cells = [line.split("│")[1].strip() for line in shown.getvalue().splitlines() if line.startswith("│")]
    assert "".join(cells).endswith(NAME)
    assert "…" not in shown.getvalue()


def test_names_are_no_markup_and_steer_no_terminal() -> None:
    table = FoldedTable(title="[red]t\x1b", caption="[b]c\u202e")
    table.add_column("[u]h\x07")
    table.add_row("[link=http://evil]x\x1b[2J")
    shown = io.StringIO()
    Console(file=shown, width=100, force_terminal=True, color_system=None).print(table)
    for words in ("[red]t\\x1b", "[b]c\\u202e", "[u]h\\x07", "[link=http://evil]x\\x1b[2J"):
        assert words in shown.getvalue()
    assert "\x1b[2J" not in shown.getvalue()
