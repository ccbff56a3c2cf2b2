"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import TextType

from preprocessing.reporting.terminal import plain


class FoldedTable(Table):
    """A table whose cells are wrapped where the terminal is narrow: no name in it is cut.

    Words are shown as they are, see `terminal.plain`; what is to have a style is given as rich's `Text`.
    """

    def add_column(self, header: Any = "", *places: Any, **options: Any) -> None:
        """Add a column."""
        super().add_column(_shown(header), *places, **options)

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row, and any columns that it needs."""
        super().add_row(*map(_shown, cells), **options)
        for column in self.columns:
            column.overflow = "fold"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        self.title, self.caption = _styled(self.title, "table.title"), _styled(self.caption, "table.caption")
        yield from super().__rich_console__(console, options)


def _shown(cell: Any) -> Any:
    return plain(cell) if isinstance(cell, str) else cell


def _styled(words: TextType | None, style: str) -> TextType | None:
    if not isinstance(words, str):
        return words
    shown = plain(words)
    shown.style = style
    return shown
