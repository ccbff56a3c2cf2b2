"""Names of files go to a terminal, and into a log."""

from __future__ import annotations

import logging

import pytest

from preprocessing.reporting.terminal import LineFormatter, plain, printable


def test_a_name_steers_no_terminal_and_is_no_markup() -> None:
    assert plain("[bold]a[/bold]\x1b[31m\nb\x07").plain == "[bold]a[/bold]\\x1b[31m\nb\\x07"
    assert plain("[red]a").spans == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Stück 鼓\tb", "Stück 鼓\tb"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("gnp.\u202eexe", "gnp.\\u202eexe"),
        ("a\u2066b\u200bc", "a\\u2066b\\u200bc"),
        ("a\rb", "a\\rb"),
        ("\udc80", "\\udc80"),
    ],
    ids=["letters", "a title", "C1", "right to left", "isolate and no width", "return", "no UTF-8"],
)
def test_signs_without_a_look_are_spelled(name: str, shown: str) -> None:
    assert printable(name) == shown


def test_a_name_forges_no_line_of_the_log() -> None:
    formatter = LineFormatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    record = logging.LogRecord("a", logging.INFO, "", 0, "class '%s'", ("x\n12:00:00 INFO no problems\x1b[2J",), None)
    first, second = formatter.format(record).splitlines()
    assert first.endswith("INFO class 'x")
    assert second == "  12:00:00 INFO no problems\\x1b[2J'"
