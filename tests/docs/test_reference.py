"""The generated reference: nothing that can be set, chosen or stored is missing from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs.generator.commands import commands_by_name
from docs.generator.pages import GENERATED, PLACE, expanded
from docs.generator.settings import UNIONS, is_tag, members
from docs.generator.sources import SOURCES, configs, source
from docs.generator.text import cell
from tests.docs.pages import ROOT, SITE

REFERENCE = [page for page in SITE if page.parent.name == "reference"]


@cache
def page(name: str) -> str:
    return expanded((ROOT / "docs" / "reference" / f"{name}.md").read_text())


@cache
def rows() -> dict[str, list[str]]:
    """Every row of a table of the reference by the last part of its key."""
    found: dict[str, list[str]] = {}
    for each in REFERENCE:
        for line in page(each.stem).splitlines():
            if match := re.match(r"\| `([\w.*]+)` \|", line):
                found.setdefault(match[1].removesuffix(".*").rpartition(".")[2], []).append(line)
    return found


def section(markdown: str, title: str) -> str:
    """What stands between a heading and the next of its level."""
    [text] = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", markdown, re.MULTILINE | re.DOTALL)
    return str(text)


def fields_below(config_class: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[tuple[str, FieldInfo]]:
    """Every field that can be set in a class, in its groups and in all members of its unions."""
    if config_class in seen:
        return
    seen.add(config_class)
    for name, field in config_class.model_fields.items():
        if not is_tag(name, field):
            yield name, field
        place = source("field_slot")(field)
        for slot in (place, source("slot")(place.item)):
            for each in slot.classes:
                yield from fields_below(each, seen)


@pytest.mark.parametrize("command", configs())
def test_every_setting_of_every_command_is_explained_with_all_members_of_its_unions(command: str) -> None:
    for name, field in fields_below(configs()[command], set()):
        told = rows().get(name, [])
        assert any(cell(field.description) in row for row in told), f"{name}: {field.description}"


@pytest.mark.parametrize("command", configs())
def test_a_commands_section_has_every_key_that_its_help_knows_or_leads_to_it(command: str) -> None:
    """Below a union the member's own page has them."""
    told = {
        match[1]: line
        for line in section(page("settings"), command).splitlines()
        if (match := re.match(r"\| `([\w.]+)(?:\.\*)?` \|", line))
    }
    for key in source("keys")(configs()[command]):
        plain = re.sub(r"\.\d+$", "", key)
        shown = [told[start] for start in beginnings(plain) if start in told]
        assert shown, key
        assert plain in told or "](" in shown[-1], key


def beginnings(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


@pytest.mark.parametrize("command", commands_by_name())
def test_every_command_is_listed_with_its_help(command: str) -> None:
    text = section(page("commands"), command)
    assert f"python -m pipeline {command}" in text
    first_words = " ".join((commands_by_name()[command].help or "").split()[:4])
    assert first_words in text


@pytest.mark.parametrize("union", UNIONS)
def test_every_member_of_a_union_has_a_section_on_its_page(union: str) -> None:
    _, link = UNIONS[union]
    markdown = page(Path(link.partition("#")[0]).stem)
    for name, member in members(union).items():
        assert re.search(rf"^###? {name}$", markdown, re.MULTILINE), name
        assert cell((member.__doc__ or "").splitlines()[0]).split()[0] in markdown


def test_every_attack_tells_its_passes_as_it_counts_them() -> None:
    overview = page("attacks").partition("## apgd\n")[0]
    for name, attack in members("AnyAttack").items():
        [row] = re.findall(rf"^\| \[`{name}`\]\(#{name}\) \|.*$", overview, re.MULTILINE)
        assert f"| {attack().cost.forward} | {attack().cost.backward} |" in row
        assert f"| `{name}` |" in overview, "its oracle"


def test_every_objective_tells_its_source_and_passes() -> None:
    overview = page("objectives").partition("## awp\n")[0]
    for name, objective in members("AnyObjective").items():
        [row] = re.findall(rf"^\| \[`{name}`\]\(#{name}\) \|.*$", overview, re.MULTILINE)
        assert str(objective().cost(progress=0.0, num_segments=10)) in row
        assert f"`{name}`" in page("objectives").partition("Here they are in general")[2]


def test_every_reason_for_leaving_a_clip_out_is_told() -> None:
    code = "\n".join(file.read_text() for file in (ROOT / "preprocessing").rglob("*.py"))
    found = set(re.findall(r'(?:DecodeError\(\s*|reject\([a-z_, ]+|reason=)"([a-z_]+)"', code))
    told = section(page("shards"), "Reasons for leaving a clip out")
    assert len(found) > 25
    assert {reason for reason in found if f"| `{reason}` |" not in told} == set()


def test_every_mark_on_a_page_is_filled_and_every_generated_part_is_used() -> None:
    text = "\n".join(each.read_text() for each in SITE)
    marks = [match[1] for match in PLACE.finditer(text)]
    assert len(marks) == text.count("<!-- generate:")
    assert set(marks) >= set(GENERATED)
    assert "<!-- generate:" not in expanded(text)


def test_an_unknown_mark_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="'weather' cannot be generated; allowed: attack_lists, attacks, checks"):
        expanded("<!-- generate: weather -->\n<!-- end -->")


def test_every_source_is_needed() -> None:
    """The table of modules is kept by hand."""
    generator = "\n".join(
        file.read_text() for file in (ROOT / "docs" / "generator").glob("*.py") if file.stem != "sources"
    )
    used = generator + (ROOT / "docs/generator/sources.py").read_text().partition('"""Name -> module."""')[2]
    used += "\n".join(each.read_text() for each in SITE) + Path(__file__).read_text()
    unused: list[Any] = [name for name in SOURCES if not re.search(rf"\b{name}\b", used)]
    assert not unused
