"""Docstrings as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence

CODE = re.compile(r"(``.+?``|`[^`]+`)", re.DOTALL)
ARXIV = re.compile(r"(?:arXiv:)?\b(\d{4}\.\d{4,5})\b")
SECTION = re.compile(r"^(Args|Raises|Returns|Yields):$", re.MULTILINE)


def prose(docstring: str | None) -> str:
    """A docstring as Markdown: nothing in its formulas is taken for markup, papers are linked, sections left out."""
    text = inspect.cleandoc(docstring or "")
    if section := SECTION.search(text):
        text = text[: section.start()]
    return "".join(part if CODE.fullmatch(part) else _escaped(part) for part in CODE.split(text)).strip()


def cell(docstring: str | None) -> str:
    """A docstring on one line of a table."""
    paragraphs = re.split(r"\n\s*\n", prose(docstring))
    parts = CODE.split("<br>".join(" ".join(each.split()) for each in paragraphs))
    return "".join(part if CODE.fullmatch(part) else part.replace("|", "\\|") for part in parts)


def code(text: object) -> str:
    """A value as it is typed."""
    return f"`{text}`"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def papers(docstring: str | None) -> str:
    """Links to the papers that a docstring names, each once."""
    found = dict.fromkeys(ARXIV.findall(docstring or ""))
    return ", ".join(f"[{number}](https://arxiv.org/abs/{number})" for number in found)


def _escaped(text: str) -> str:
    text = re.sub(r"([\\_\[\]])", r"\\\1", text)
    text = re.sub(r"(?<!\n)\*|\*(?! )", r"\\*", text)  # a star that begins a line and has a space after it is a list's
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
