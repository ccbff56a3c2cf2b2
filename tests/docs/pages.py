"""The pages that a reader sees, and the commands on them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUTSIDE = tuple(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"))
"""Pages beside the site: they are read in the repository."""
SITE = tuple(sorted((ROOT / "docs").rglob("*.md")))
ALL = (*OUTSIDE, *SITE)
PIPELINE = re.compile(r"(?:python -m pipeline|robust-av) (.*)")
BRACES = re.compile(r"(\S*?)\{([\w.-]+(?:,[\w.-]+)+)\}(\S*)")
LOOP = re.compile(r"for (\w+) in ([^;]+); do (.+); done")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def shell_lines(page: Path) -> list[str]:
    """The lines of all shell blocks without comments, as a shell runs them: loops and braces are written out."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = (line.split(" #")[0].strip() for block in blocks for line in block.splitlines())
    return [each for line in lines if line and not line.startswith("#") for each in unrolled(line)]


def unrolled(line: str) -> list[str]:
    """The lines that a line runs: `for x in a b; do echo $x; done` is two, and `echo {a,b}` is `echo a b`."""
    if (loop := LOOP.fullmatch(line)) is None:
        while braces := BRACES.search(line):
            before, values, after = braces.groups()
            words = " ".join(f"{before}{value}{after}" for value in values.split(","))
            line = line[: braces.start()] + words + line[braces.end() :]
        return [line]
    name, values, body = loop.groups()
    return [each for value in shlex.split(values) for each in unrolled(re.sub(rf"\${name}\b", value, body))]


def pipeline_commands(page: Path) -> list[list[str]]:
    """The words of each command of the pipeline, without global options."""
    found = (PIPELINE.search(line) for line in shell_lines(page))
    commands = [shlex.split(match[1]) for match in found if match]
    return [words[1:] if words[0] == "--traceback" else words for words in commands]


def headings(markdown: str) -> set[str]:
    """The anchors of a page's headings."""
    text = re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


def links(page: Path) -> list[tuple[str, str]]:
    """File and anchor of every link of a page that leads to no other site."""
    text = re.sub(r"`[^`]*`", "", page.read_text())
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [(file, anchor) for file, _, anchor in (target.partition("#") for target in targets) if "://" not in file]
