"""Names of files go to a terminal."""

from __future__ import annotations

from preprocessing.reporting.terminal import plain


def test_a_name_steers_no_terminal_and_is_no_markup() -> None:
    assert plain("[bold]a[/bold]\x1b[31m\nb\x07").plain == "[bold]a[/bold]?[31m\nb?"
    assert plain("[red]a").spans == []
