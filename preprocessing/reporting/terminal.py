"""Text for a terminal that comes from names of files and classes, which may be hostile."""

from __future__ import annotations

from rich.text import Text


def plain(text: str) -> Text:
    """A name as it is: no markup in it counts, and what no terminal should get is a question mark."""
    return Text("".join(sign if sign.isprintable() or sign == "\n" else "?" for sign in text))
