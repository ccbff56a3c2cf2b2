"""Tables on the terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table


class FoldedTable(Table):
    """A table whose cells are wrapped where the terminal is narrow: no name in it is cut."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row, and any columns that it needs."""
        super().add_row(*cells, **options)
        for column in self.columns:
            column.overflow = "fold"
