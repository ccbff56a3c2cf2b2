"""Text that comes from names of files and classes, which may be hostile, on its way to a terminal, a page or a log."""

from __future__ import annotations

import logging

from rich.text import Text


def printable(text: str) -> str:
    r"""The text as it can be shown: characters that steer a terminal or turn the direction of writing escaped, `\x1b`.

    Line breaks and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else sign.encode("unicode_escape").decode() for sign in text
    )


def plain(text: str) -> Text:
    """A name as it is: no markup in it counts."""
    return Text(printable(text))


class LineFormatter(logging.Formatter):
    """Lines of a log: whatever a name holds, a line that begins with a time is a message of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, with further lines of it set in."""
        return printable(super().format(record)).replace("\n", "\n  ")
